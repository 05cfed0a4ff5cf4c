// Judges over nodes: see oracle.h.
#include "sim/oracle.h"

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

static void complete(struct world *w, struct host *h, struct want *want)
{
    const struct metainfo *meta = w->torrents[want->torrent].meta;
    for (uint32_t i = 0; i < meta->files_n; i++) {
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
    if (!want->done && want->kind != WANT_SEED)
        w->torrents[want->torrent].done_n++;
    want->done = true;
    want->done_at = w->now;
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
        if (peer != NULL && peer->cfg.hostile.kind == HOSTILE_NONE)
            w->totals.honest_bans++;
        break;
    case NODE_EVENT_DHT:
    case NODE_EVENT_METADATA:
    case NODE_EVENT_LAYERS:
    case NODE_EVENT_FILE_DONE:
    case NODE_EVENT_TRACKER:
    case NODE_EVENT_WEB_SEED:
    case NODE_EVENT_STOPPED: break;
    }
}

void oracle_upload(struct world *w, const struct host *h, const struct extent *e)
{
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
