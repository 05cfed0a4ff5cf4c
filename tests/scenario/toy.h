// What the toy in the node's place (fake_node.c) was told.
#pragma once
#include "engine/node/node.h"

struct toy_news {
    uint8_t heard[2048];                // the last datagram
    size_t heard_n;
    uint32_t fetches, resolves;
    enum err fetch_err, resolve_err;    // of the last ones
    int fetch_status;
    size_t fetch_n;
};

const struct toy_news *toy_news(const struct node *n);
