// See fold.h.
#include "base/fold.h"

bool fold_eq(struct slice a, struct slice b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (fold(a.p[i]) != fold(b.p[i]))
            return false;
    return true;
}

bool fold_eq_str(struct slice a, const char *s)
{
    return fold_eq(a, slice_str(s));
}

bool fold_starts(struct slice a, const char *prefix)
{
    const struct slice p = slice_str(prefix);
    return fold_eq(slice_sub(a, 0, p.n), p);
}
