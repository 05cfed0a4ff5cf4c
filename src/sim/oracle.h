// Judges that watch what nodes do on the wire and on their disks, and at the end the sums. They never look inside an engine.
#pragma once
#include "sim/world.h"

// Before every input of a node: too many at one instant are a livelock.
void oracle_input(struct world *w, struct host *h);
// A life began: what the node says it has must be on its disk.
void oracle_started(struct world *w, struct host *h);
// The node told its front end something.
void oracle_event(struct world *w, struct host *h, const struct node_event *ev);
// Bytes of payload memory are about to be uploaded: whole, true content of a torrent that h has.
void oracle_upload(struct world *w, const struct host *h, const struct extent *e);
// Every piece that the node says it has is on its disk (durable: and would survive a crash).
void oracle_have(struct world *w, struct host *h, const struct want *want, bool durable);
// A line carried len bytes at t: never more in a second than its rate, but for one block that was under way at each end of it.
void oracle_line(struct world *w, struct host *h, bool down, nsec t, uint64_t len);
// The node's memory grew.
void oracle_memory(struct host *h);
// Every piece of the torrent is on the disk of an honest host that is up.
bool oracle_reachable(const struct world *w, uint32_t torrent);
// Faults ended at `healed`: whoever wants what is reachable has it within three times the bound and ten minutes.
void oracle_liveness(struct world *w, nsec healed);
// Bytes that were sent have arrived, were lost, or are still on their way.
void oracle_sums(struct world *w);
// Kumar and Ross 2006, "Optimal peer-assisted file distribution": no swarm of leeches_n leeches, all there from the start, with
// `up` in sum and `down_min` for the slowest, and seeds with `seed_up`, can finish before this. bytes/s, 0 rates: no limit. ns.
nsec oracle_bound(uint64_t bytes, uint64_t seed_up, uint64_t up, uint64_t down_min, uint32_t leeches_n);
