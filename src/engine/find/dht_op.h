// What the owner wants of the DHT: its questions, and the events that answer them. Inside the DHT node.
#pragma once
#include "base/list.h"
#include "codec/krpc.h"
#include "engine/find/dht.h"

struct dht_cand;                        // dht_lookup.h
struct dht_lookup;
struct dht_rpc;                         // dht_rpc.h

struct dht_op {
    struct list link;
    uint32_t id;
    struct dht_ask ask;                 // item's slices: into bytes
    uint8_t bytes[ITEM_VALUE_MAX + ITEM_SALT_MAX];
    uint32_t lookups, stores;           // under way
    nsec started, first;
    uint32_t asked, replied, stored, hops, found, store_tries;
    bool has_item;
    int64_t best_seq;
    int32_t code;
    char text[64];
    uint8_t blooms[2][BLOOM_LEN];       // seeds, peers
    bool scraped;
};

struct dht_event {
    struct list link;
    enum dht_kind kind;
    struct dht_out out;                 // its slices: into bytes
    size_t n;
    uint8_t bytes[];
};

struct dht_op *op_find(const struct dht *d, uint32_t id);
void op_free(struct dht *d, struct dht_op *op);
// A node's answer on the way.
void op_answer(struct dht *d, struct dht_lookup *l, const struct dht_cand *c, const struct krpc *m);
// One of its lookups is over.
void op_lookup_over(struct dht *d, struct dht_lookup *l);
void op_store_reply(struct dht *d, struct dht_rpc *r, const struct krpc *m);    // m NULL: none came
// Room for an event with n bytes behind it; NULL: dropped.
struct dht_event *event_add(struct dht *d, enum dht_kind kind, size_t n);
