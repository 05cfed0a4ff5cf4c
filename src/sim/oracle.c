// Judges over nodes: see oracle.h.
#include "sim/link.h"
#include "sim/net.h"
#include "sim/oracle.h"
#include "sim/stream.h"

#include "base/bits.h"

void oracle_input(struct world *w, struct host *h)
{
    h->inputs++;
    if (h->burst_t != w->now) {
        h->burst_t = w->now;
        h->burst_n = 0;
    }
    if (++h->burst_n == WORLD_BURST_MAX)
        world_fail(w, "n%u had %u inputs at one instant", h->index, h->burst_n);
}

// Whether the bytes of a torrent from off on are on the host's disk.
static bool on_disk(const struct world *w, struct host *h, uint32_t torrent, uint64_t off, uint64_t len, bool durable)
{
    const struct torrent *t = &w->torrents[torrent];
    while (len > 0) {
        const uint32_t file = metainfo_file_at(t->meta, off);
        const struct metainfo_file *m = &t->meta->files[file];
        const uint64_t n = u64_min(len, m->offset + m->len - off);
        const struct extent want = {.len = n, .content = t->content, .off = off};
        const struct disk_file *f = disk_file(&h->disk, torrent, file, t->meta->files_n + 1, m->len);
        if ((m->flags & FILE_PAD) == 0 && !disk_holds(&h->disk, f, off - m->offset, &want, durable))
            return false;
        off += n;
        len -= n;
    }
    return true;
}

void oracle_have(struct world *w, struct host *h, const struct want *want, bool durable)
{
    const struct metainfo *meta = w->torrents[want->torrent].meta;
    if (h->disk.spoiled)
        return;
    const struct slice have = node_torrent_have(h->node, want->number);
    if (have.n == 0)
        return;
    ASSERT(have.n >= bits_bytes(meta->pieces_n));
    for (uint32_t i = 0; i < meta->pieces_n; i++) {
        if (!bits_get(have.p, i))
            continue;
        if (!on_disk(w, h, want->torrent, (uint64_t)i * meta->piece_len, metainfo_piece_len(meta, i), durable)) {
            world_fail(w, "n%u claims piece %u, which is not on its disk", h->index, i);
            return;
        }
    }
}

void oracle_started(struct world *w, struct host *h)
{
    for (uint32_t i = 0; i < h->wants_n && h->node != NULL; i++)
        if (h->wants[i].given)
            oracle_have(w, h, &h->wants[i], false);
}

static uint64_t content_len(const struct world *w, uint32_t torrent)
{
    const struct metainfo *m = w->torrents[torrent].meta;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->files_n; i++)
        sum += (m->files[i].flags & (FILE_PAD | FILE_SYMLINK)) != 0 ? 0 : m->files[i].len;
    return sum;
}

static bool wants(const struct host *h, uint32_t torrent, bool seed)
{
    for (uint32_t i = 0; i < h->wants_n; i++)
        if (h->wants[i].torrent == torrent)
            return (h->wants[i].kind == WANT_SEED) == seed;
    return false;
}

// The least time for all leeches of a torrent, from the first one's arrival on; 0: no bound is known. Web servers have no line
// of their own.
static nsec swarm_bound(const struct world *w, uint32_t torrent)
{
    if (w->torrents[torrent].meta->web_seeds_n != 0)
        return 0;
    uint64_t seeds = 0, leeches = 0, down = UINT64_MAX;
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        const struct host *h = w->hosts[i];
        const bool seed = wants(h, torrent, true), leech = wants(h, torrent, false), hostile = h->cfg.hostile.kind != HOSTILE_NONE;
        if ((seed || leech || hostile) && (h->cfg.up_bps == 0 || h->faster))
            return 0;
        seeds += seed || hostile ? h->cfg.up_bps : 0;
        leeches += leech ? h->cfg.up_bps : 0;
        n += leech;
        if (leech && h->cfg.down_bps != 0)
            down = u64_min(down, h->cfg.down_bps);
    }
    return n == 0 ? 0 : oracle_bound(content_len(w, torrent), seeds, leeches, down == UINT64_MAX ? 0 : down, n);
}

// Nobody is faster than his line, no swarm faster than all lines together.
static void physics(struct world *w, const struct host *h, const struct want *want)
{
    const uint64_t len = content_len(w, want->torrent);
    if (want->kind == WANT_SEED || want->kind == WANT_CHECK || h->faster || w->torrents[want->torrent].meta->web_seeds_n != 0)
        return;
    if (h->cfg.down_bps != 0 && w->now - h->first_start < len * NSEC_S / h->cfg.down_bps / 1000 * 999)
        world_fail(w, "n%u is done after %llu ms: faster than its line", h->index, (unsigned long long)((w->now - h->first_start) / NSEC_MS));
    if (w->torrents[want->torrent].done_n != w->torrents[want->torrent].leeches_n)
        return;
    nsec first = NSEC_NEVER;
    for (uint32_t i = 0; i < w->hosts_n; i++)
        if (wants(w->hosts[i], want->torrent, false))
            first = u64_min(first, w->hosts[i]->first_start);
    if (w->now - first < swarm_bound(w, want->torrent) / 1000 * 999)
        world_fail(w, "torrent %u is everywhere after %llu ms: faster than all lines together", want->torrent,
            (unsigned long long)((w->now - first) / NSEC_MS));
}

void oracle_line(struct world *w, struct host *h, bool down, nsec t, uint64_t len)
{
    struct link *l = &h->link;
    const uint64_t rate = down ? u64_max(l->down_bps, h->cfg.down_bps) : u64_max(l->up_bps, h->cfg.up_bps);
    if (rate == 0 || (down ? l->down_bps : l->up_bps) == 0 || h->faster)
        return;
    if (t / NSEC_S > l->busy[down].second) {
        l->busy[down].second = t / NSEC_S;
        l->busy[down].bytes = 0;
    }
    l->busy[down].bytes += len;
    // A quantum counts when its last byte is there: the first ones may have come so long before.
    const uint64_t before = down ? rate * NET_QUANTUM_MS / 1000 : 0;
    if (l->busy[down].bytes > rate + before + 2 * (NET_QUANTUM_MAX + NET_SMALL))
        world_fail(w, "n%u's line carries %llu bytes %s in a second, %llu are possible", h->index, (unsigned long long)l->busy[down].bytes,
            down ? "down" : "up", (unsigned long long)rate);
}

void oracle_memory(struct host *h)
{
    if (h->world->cfg.memory_max != 0 && h->mem_used > h->world->cfg.memory_max)
        world_fail(h->world, "n%u uses %llu bytes of memory", h->index, (unsigned long long)h->mem_used);
}

bool oracle_reachable(const struct world *w, uint32_t torrent)
{
    const struct metainfo *m = w->torrents[torrent].meta;
    for (uint32_t piece = 0; piece < m->pieces_n; piece++) {
        bool found = false;
        for (uint32_t i = 0; i < w->hosts_n && !found; i++) {
            struct host *h = w->hosts[i];
            for (uint32_t k = 0; k < h->wants_n && h->up && h->side == 0 && h->node != NULL && !h->link.garbled && !found; k++)
                found = h->wants[k].torrent == torrent && h->wants[k].given &&
                        on_disk(w, h, torrent, (uint64_t)piece * m->piece_len, metainfo_piece_len(m, piece), false);
        }
        if (!found)
            return false;
    }
    return true;
}

void oracle_liveness(struct world *w, nsec healed)
{
    for (uint32_t t = 0; t < w->torrents_n; t++) {
        if (w->now < healed + 3 * swarm_bound(w, t) + 600 * NSEC_S || !oracle_reachable(w, t))
            continue;
        for (uint32_t i = 0; i < w->hosts_n; i++)
            for (uint32_t k = 0; k < w->hosts[i]->wants_n && w->hosts[i]->up && w->hosts[i]->node != NULL; k++)
                if (w->hosts[i]->wants[k].torrent == t && !w->hosts[i]->wants[k].done)
                    world_fail(w, "n%u is not done, %llu s after all faults ended", i, (unsigned long long)((w->now - healed) / NSEC_S));
    }
}

static void complete(struct world *w, struct host *h, struct want *want)
{
    const struct metainfo *meta = w->torrents[want->torrent].meta;
    for (uint32_t i = 0; i < meta->files_n && !h->disk.spoiled; i++) {
        const struct metainfo_file *m = &meta->files[i];
        const struct disk_file *f = disk_file(&h->disk, want->torrent, i, meta->files_n + 1, m->len);
        if ((m->flags & (FILE_PAD | FILE_SYMLINK)) != 0)
            continue;
        if (!f->exists || f->size != m->len)
            world_fail(w, "n%u is done, but file %u has %llu bytes", h->index, i, (unsigned long long)f->size);
        else if (m->len > 0 && !on_disk(w, h, want->torrent, m->offset, m->len, false))
            world_fail(w, "n%u is done, but file %u is wrong", h->index, i);
        else if (m->len > 0 && !w->cfg.forgive_unsynced && !on_disk(w, h, want->torrent, m->offset, m->len, true))
            world_fail(w, "n%u is done, but file %u would not survive a crash", h->index, i);
    }
    const bool first = !want->done;
    if (first && want->kind != WANT_SEED)
        w->torrents[want->torrent].done_n++;
    if (first) {                        // a restarted node says it again
        want->done_at = w->now;
        physics(w, h, want);
    }
    want->done = true;
}

static void after(struct world *w, struct host *h)
{
    for (uint32_t i = 0; i < h->wants_n; i++)
        if (!h->wants[i].done)
            return;
    if (h->cfg.after != AFTER_STAY)
        world_at(w, w->now + h->cfg.linger, EV_VANISH, h->index, h->cfg.after);
}

void oracle_event(struct world *w, struct host *h, const struct node_event *ev)
{
    struct want *want = host_want(h, ev->torrent);
    const struct host *peer;
    switch (ev->kind) {
    case NODE_EVENT_CHECKED:
        if (want != NULL) {
            want->checked++;
            oracle_have(w, h, want, false);
        }
        break;
    case NODE_EVENT_DONE:
        if (want != NULL) {
            complete(w, h, want);
            after(w, h);
        }
        break;
    case NODE_EVENT_ERROR:
        if (want != NULL) {
            want->errors++;
            want->error = ev->err;
        }
        break;
    case NODE_EVENT_RECOVERED:
        if (want != NULL)
            want->recovered++;
        break;
    case NODE_EVENT_BANNED:
        if (want != NULL)
            want->banned++;
        peer = net_host(w, &ev->addr);
        w->totals.bans++;
        if (peer == NULL || peer->cfg.hostile.kind != HOSTILE_NONE || peer->disk.spoiled || peer->link.garbled)
            break;
        w->totals.honest_bans++;
        if (want != NULL && w->torrents[want->torrent].meta->has_v2)
            world_fail(w, "n%u bans n%u, which is honest, although the hashes of a tree tell who is not", h->index, peer->index);
        break;
    case NODE_EVENT_GONE:
    case NODE_EVENT_DHT:
    case NODE_EVENT_EXTERNAL:
    case NODE_EVENT_METADATA:
    case NODE_EVENT_LAYERS:
    case NODE_EVENT_FILE_DONE:
    case NODE_EVENT_TRACKER:
    case NODE_EVENT_WEB_SEED:
    case NODE_EVENT_REMOVED:
    case NODE_EVENT_STOPPED: break;
    }
}

void oracle_upload(struct world *w, const struct host *h, const struct extent *e)
{
    if (h->disk.spoiled)
        return;
    bool good = e->taint == 0 && (e->content == CONTENT_ZERO || e->content >= CONTENT_FIRST);
    if (good && e->content >= CONTENT_FIRST) {
        good = false;
        for (uint32_t i = 0; i < h->wants_n; i++)
            good |= h->wants[i].given && w->torrents[h->wants[i].torrent].content == e->content;
    }
    if (!good)
        world_fail(w, "n%u uploads bytes that nobody verified (content %u, taint %u)", h->index, e->content, e->taint);
}

void oracle_sums(struct world *w)
{
    uint64_t up = 0, down = 0, dropped = 0, flying = 0;
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        up += w->hosts[i]->link.up_bytes;
        down += w->hosts[i]->link.down_bytes;
        dropped += w->hosts[i]->link.dropped_bytes;
    }
    for (uint32_t i = 0; i < w->conns.n; i++) {
        const struct conn *c = slots_get(&w->conns, i);
        for (uint32_t k = 0; c != NULL && k < 2; k++)
            flying += c->pipes[k].departed - c->pipes[k].arrived - c->pipes[k].dropped;
    }
    for (uint32_t i = 0; i < w->dgrams.n; i++) {
        const struct dgram *d = slots_get(&w->dgrams, i);
        if (d != NULL)
            flying += d->n;
    }
    if (up != down + dropped + flying)
        world_fail(w, "bytes are not conserved: %llu sent, %llu arrived, %llu dropped, %llu on their way", (unsigned long long)up,
            (unsigned long long)down, (unsigned long long)dropped, (unsigned long long)flying);
}

nsec oracle_bound(uint64_t bytes, uint64_t seed_up, uint64_t up, uint64_t down_min, uint32_t leeches_n)
{
    // In milliseconds, so that the products fit 64 bits: exact enough for a bound.
    uint64_t ms = 0;
    if (seed_up != 0)
        ms = u64_max(ms, bytes * 1000 / seed_up);
    if (down_min != 0)
        ms = u64_max(ms, bytes * 1000 / down_min);
    if (seed_up + up != 0)
        ms = u64_max(ms, bytes * leeches_n / (seed_up + up) * 1000);
    return ms * NSEC_MS;
}
