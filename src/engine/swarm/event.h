// What the swarm has to tell its owner. Inside the swarm.
#pragma once
#include "base/addr.h"
#include "engine/swarm/swarm.h"

enum { EVENTS_MAX = 64 };

struct event {
    enum swarm_event kind;
    uint32_t file;
    enum err err;
    struct addr addr, seen;
};

void event_push(struct swarm *s, const struct event *e);
