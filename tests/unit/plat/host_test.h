// What the tests of the host share: a folder, a host around the fake node, files with known content.
#pragma once
#include "test.h"

#include <unistd.h>

#include "app/host.h"
#include "fake_node.h"

static char root[64];
static struct host *host;

static inline int setup(void **state)
{
    UNUSED_STATE(state);
    strcpy(root, "/tmp/kith-host-XXXXXX");
    if (mkdtemp(root) == NULL)
        return 1;
    fake = (struct fake_hooks){0};
    fake_files_n = 0;
    fake_deadline = NSEC_NEVER;
    return 0;
}

static inline int teardown(void **state)
{
    UNUSED_STATE(state);
    host_free(host);
    host = NULL;
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static inline void start(struct host_config cfg)
{
    char why[HOST_WHY_MAX];
    cfg.listen = "127.0.0.1";
    assert_int_equal(host_new(&host, &cfg, why), ERR_OK);
}

static inline uint32_t add_file(const char *path, uint64_t len)
{
    fake_files[fake_files_n] = (struct io_file){.root = slice_str(root), .path = slice_str(path), .len = len};
    return fake_files_n++;
}

static inline uint8_t content(uint64_t at) { return (uint8_t)(at * 2654435761u >> 13); }

static inline void make_file(const char *path, uint64_t len)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%s/%s", root, path);
    FILE *f = fopen(text, "wb");
    assert_non_null(f);
    for (uint64_t i = 0; i < len; i++)
        (void)putc(content(i), f);
    fclose(f);
}
