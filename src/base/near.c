// See near.h.
#include "base/near.h"

uint32_t near_distance(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    if (n > NEAR_MAX || m > NEAR_MAX)
        return UINT32_MAX;
    uint32_t t[NEAR_MAX + 1][NEAR_MAX + 1];
    for (uint32_t j = 0; j <= m; j++)
        t[0][j] = j;
    for (uint32_t i = 1; i <= n; i++) {
        t[i][0] = i;
        for (uint32_t j = 1; j <= m; j++) {
            const uint32_t other = u32_min(t[i - 1][j], t[i][j - 1]) + 1, same = t[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            t[i][j] = u32_min(other, same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                t[i][j] = u32_min(t[i][j], t[i - 2][j - 2] + 1);
        }
    }
    return t[n][m];
}

void near_consider(struct near *n, const char *name)
{
    const size_t len = strlen(n->written);
    uint32_t d = near_distance(n->written, name);
    if (len >= 3 && strncmp(n->written, name, len) == 0)
        d = 1;
    if (d > 1 + strlen(name) / 4 || (n->best != NULL && d >= n->distance))
        return;
    n->best = name;
    n->distance = d;
}
