// What reading and printing of scenarios share: the tables of options.
#pragma once
#include "lab/scenario.h"

extern const struct field scenario_world_fields[], scenario_content_fields[], scenario_node_fields[];
extern const uint32_t scenario_world_fields_n, scenario_content_fields_n, scenario_node_fields_n;

static inline uint64_t field_get(const void *base, const struct field *f)
{
    uint64_t v;
    memcpy(&v, (const uint8_t *)base + f->offset, sizeof v);
    return v;
}

static inline void field_set(void *base, const struct field *f, uint64_t v)
{
    memcpy((uint8_t *)base + f->offset, &v, sizeof v);
}
