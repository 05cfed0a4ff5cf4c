// The access link of a host: its lines up and down, and who waits for them.
#pragma once
#include "base/list.h"
#include "base/rng.h"

struct pipe;                            // stream.h

enum {
    NET_QUANTUM_MIN = 1500,
    NET_QUANTUM_MAX = 16384,
    NET_QUANTUM_MS = 400,               // of the sender's line, if that is between these
    NET_DOWN_LUMPS = 2,                 // quanta that a downlink's queue holds besides NET_DOWN_QUEUE: as packets they would have
                                        // come between those of others
    NET_FIFO_QUEUE = 256 * 1024,
};

#define NET_DOWN_QUEUE (100 * NSEC_MS)          // a downlink queue longer than this tells its senders to slow down

struct link {
    uint64_t up_bps, down_bps;          // bytes/s, 0: no limit
    nsec latency;
    struct list fast, bulk;             // pipes that may send
    bool fifo;                          // one queue for all
    uint64_t queue_bytes;               // fifo: what does not fit is lost; 0: NET_FIFO_QUEUE
    bool armed;                         // an EV_UPLINK is under way
    struct pipe *tx_pipe;               // whose quantum is on the line
    uint32_t tx_len;
    nsec tx_start, up_until;            // of that quantum; when the line is free
    nsec down_busy;
    uint64_t up_bytes, down_bytes, dropped_bytes;
    struct { uint64_t second, bytes; } busy[2];         // up, down: bytes in the last second that had any
    bool garbled;                       // bits of its datagrams were flipped: of content as well, maybe
    struct rng loss;
};

void link_init(struct link *l, uint64_t up_bps, uint64_t down_bps, nsec latency);
