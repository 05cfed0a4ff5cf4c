// See rare.h.
#include "base/rare.h"

#include "base/rng.h"

bool rare_fires(struct rare *r, enum rare_site site)
{
    ASSERT(site < RARE_SITES);
    if (r->over || mix64(r->seed ^ mix64((uint64_t)site + 1)) % 4 != 0)
        return false;
    return mix64(r->seed ^ mix64((uint64_t)(site + 1) << 32 ^ ++r->asked[site])) % 4 == 0;
}
