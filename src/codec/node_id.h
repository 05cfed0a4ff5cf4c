// Node ids of the DHT: 160 bits, XOR distance, and BEP 42's binding of an id to the address it is used at.
#pragma once
#include "base/addr.h"
#include "base/rng.h"

enum { NODE_ID_LEN = 20, NODE_ID_BITS = 160 };

// A new id that BEP 42 allows for this address; with family ADDR_NONE or a local address any id.
void node_id_make(const struct addr *a, struct rng *rng, uint8_t out[NODE_ID_LEN]);
// Whether BEP 42 allows the id at the address. Local addresses are exempt: always true.
bool node_id_fits(const uint8_t id[NODE_ID_LEN], const struct addr *a);
// How many leading bits are equal: 0 … 160.
uint32_t node_id_prefix(const uint8_t a[NODE_ID_LEN], const uint8_t b[NODE_ID_LEN]);
// Which of a and b is nearer to `target`: < 0 a, > 0 b, 0 the same id.
int node_id_nearer(const uint8_t target[NODE_ID_LEN], const uint8_t a[NODE_ID_LEN], const uint8_t b[NODE_ID_LEN]);
