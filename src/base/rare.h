// Rare but legal things that a laboratory makes happen often: a full table, a tiny window. In the product env->rare is NULL, and a site
// costs one comparison. Each node has its own; each site counts for itself, so a new one moves nothing else.
#pragma once
#include "base/base.h"

enum rare_site {
    RARE_NO_JOB,                        // all jobs of a swarm are taken
    RARE_POOL_FULL,                     // no memory for content now
    RARE_NO_CONNECT,                    // too many connections are half open
    RARE_NO_RPC,                        // the table of the DHT's questions is full
    RARE_SMALL_WINDOW,                  // a uTP receiver takes one packet only
    RARE_SITES,
};

struct rare {
    uint64_t seed;
    uint64_t asked[RARE_SITES];
    bool over;                          // nothing rare happens any more
};

// A quarter of the sites are armed for the life of r; an armed one fires a quarter of the time.
bool rare_fires(struct rare *r, enum rare_site site);

#define RARE(rare, site) ((rare) != NULL && rare_fires(rare, site))
