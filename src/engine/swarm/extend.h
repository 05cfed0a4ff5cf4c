// The extension protocol: its handshake, and parts of the info dictionary for peers. Inside the swarm.
#pragma once
#include "base/bytes.h"
#include "codec/extended.h"
#include "engine/swarm/swarm.h"

struct swarm_peer;                      // peer.h

enum {
    METADATA_QUEUE_MAX = 16,            // parts of the info dictionary that one peer may wait for; more are refused
};

// What extensions need to know of one peer.
struct peer_ext {
    uint8_t ids[EXTENSIONS_N];          // by which it wants to be sent them; 0: not
    uint16_t listen_port;               // where it accepts; 0: not said
    bool handshake_due, upload_only_sent;
    bool seen_told;                     // how it sees us
    bool taken_over;                    // it was offered what a torrent offers that is not known to be private
    uint32_t parts_n, refused_n;
    uint32_t lost_pos;                  // of swarm.lost: told up to here
    uint64_t metadata_left;             // bytes of it that the peer may still ask for before
    nsec metadata_at;
    uint32_t parts[METADATA_QUEUE_MAX]; // of the info dictionary: asked by it and to be sent
    uint32_t refused[METADATA_QUEUE_MAX];
};

void ext_handle(struct swarm *s, struct swarm_peer *p, uint8_t id, struct slice payload);
void ext_write_handshake(struct swarm *s, struct swarm_peer *p, struct wr *w);
void ext_lost(struct swarm *s, uint32_t index);                         // we have it no longer
bool ext_pending(const struct swarm *s, const struct swarm_peer *p);
void ext_compose(struct swarm *s, struct swarm_peer *p, struct wr *w);
uint32_t ext_compose_metadata(struct swarm *s, struct swarm_peer *p, struct wr *w, uint32_t segs_n, uint64_t *bytes);
