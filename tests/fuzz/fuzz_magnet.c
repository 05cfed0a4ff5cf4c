// Magnet links: what is accepted can be written, and reads back the same.
#include "codec/magnet.h"

#include <stdlib.h>

static void require(bool ok)
{
    if (!ok)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 20000)
        return 0;
    struct buf scratch = {malloc(size + 1), 0, size}, link = {malloc(1 << 18), 0, 1 << 18}, again = {malloc(1 << 18), 0, 1 << 18};
    struct magnet m, back;
    if (magnet_parse(&m, slice_of(data, size), &scratch) == ERR_OK) {
        struct wr w = wr_make(&link);
        magnet_write(&w, &m);
        require(w.ok);
        if (link.n <= MAGNET_BYTES_MAX) {
            require(magnet_parse(&back, buf_slice(&link), &again) == ERR_OK);
            require(back.has_v1 == m.has_v1 && back.has_v2 == m.has_v2 && back.has_files == m.has_files);
            require(back.has_key == m.has_key && memcmp(back.key, m.key, sizeof m.key) == 0);
            require(!m.has_key || slice_eq(back.salt, m.salt));
            require(memcmp(back.hash_v1, m.hash_v1, sizeof m.hash_v1) == 0);
            require(slice_eq(back.name, m.name));
            require(back.trackers_n == m.trackers_n && back.web_seeds_n == m.web_seeds_n && back.peers_n == m.peers_n);
            for (uint32_t i = 0; i < m.trackers_n; i++)
                require(slice_eq(back.trackers[i], m.trackers[i]));
            for (uint32_t i = 0; i < m.peers_n; i++)
                require(addr_eq(&back.peers[i], &m.peers[i]));
            require(memcmp(back.files_wanted, m.files_wanted, sizeof m.files_wanted) == 0);
        }
    }
    free(scratch.p);
    free(link.p);
    free(again.p);
    return 0;
}
