// `kith lab`: becomes kith-lab, the laboratory's own program. The simulator and the real host are never linked together.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/cmd.h"

// Where it is beside this program: in the build tree, in one directory, installed.
static const char *const places[] = {"../lab/kith-lab", "kith-lab", "../libexec/kith/kith-lab"};

int cmd_lab(struct talk *t, char **argv)
{
    char self[PATH_MAX] = "", path[PATH_MAX + 32];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = n <= 0 ? NULL : strrchr(self, '/');
    if (slash == NULL)
        return talk_fail(t, FAIL_INTERNAL, NULL, "cannot find out where this program is");
    *slash = 0;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        snprintf(path, sizeof path, "%s/%s", self, places[i]);
        if (access(path, X_OK) != 0)
            continue;
        char *const name = argv[0];
        argv[0] = path;
        (void)setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 0);    // a world walks all over its memory: a fifth less time
        (void)execv(path, argv);
        argv[0] = name;
        return talk_fail(t, FAIL_INTERNAL, NULL, "cannot start %s: %s", path, strerror(errno));
    }
    return talk_fail(t, FAIL_NOT_FOUND, "a package may have it apart; a build makes build/src/lab/kith-lab",
        "the laboratory is not installed: no kith-lab beside %s/kith", self);
}
