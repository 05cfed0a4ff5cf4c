// One request of PCP from its first datagram to its answer: what is sent when, and what counts as the answer. RFC 6887 section 8.1.
#pragma once
#include "codec/pcp.h"

enum { PCP_TRIES = 3 };                 // datagrams
#define PCP_FIRST_WAIT (250 * NSEC_MS)  // for an answer, doubled each time: a router in the house that speaks PCP answers at once, and
                                        // most do not: RFC 6887's three seconds would keep NAT-PMP and UPnP waiting

enum pcp_step { PCP_SEND, PCP_WAIT, PCP_OVER };

struct pcp {
    struct pcp_map ask;
    struct pcp_map got;                 // PCP_OVER with ERR_OK: what was given
    nsec at, wait;                      // of the next datagram
    uint32_t tries;
    bool over;
    enum err err;
};

void pcp_begin(struct pcp *p, const struct pcp_map *ask, nsec now);
// What is to be done now. PCP_SEND: tx has a datagram for the router; PCP_WAIT: for one from it, until p->at at most; PCP_OVER:
// p->err is ERR_OK, ERR_TIMEOUT: nobody answers; ERR_UNSUPPORTED: it speaks another protocol; ERR_REFUSED: it does not want to.
enum pcp_step pcp_next(struct pcp *p, nsec now, struct buf *tx);
// A datagram from the router. What answers another question is ignored.
void pcp_input(struct pcp *p, struct slice datagram);
