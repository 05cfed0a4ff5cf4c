// See out_hash.h.
#include "engine/node/out_hash.h"

#include "engine/find/dht.h"

static uint64_t number(uint64_t h, uint64_t v) { return mix64(h ^ v) + 0x9e3779b97f4a7c15; }

static uint64_t bytes(uint64_t h, struct slice s)
{
    h = number(h, s.n);
    for (size_t i = 0; i < s.n; i += 8) {
        uint64_t word = 0;
        for (size_t k = 0; k < 8 && i + k < s.n; k++)
            word = word << 8 | s.p[i + k];
        h = number(h, word);
    }
    return h;
}

static uint64_t address(uint64_t h, const struct addr *a)
{
    return number(bytes(h, slice_of(a->ip, sizeof a->ip)), (uint64_t)a->family << 16 | a->port);
}

static uint64_t job(uint64_t h, const struct io_job *j)
{
    h = number(number(number(h, (uint64_t)j->kind), j->id), j->store);
    for (uint32_t i = 0; i < j->spans_n; i++)
        h = number(h, j->spans[i].n);
    for (uint32_t i = 0; i < j->parts_n; i++)
        h = number(number(number(h, j->parts[i].file), j->parts[i].off), j->parts[i].len);
    return number(number(h, j->zeros), j->leaves_len);
}

static uint64_t segments(uint64_t h, const struct node_out *o)
{
    for (uint32_t i = 0; i < o->segs_n; i++) {
        const struct io_seg *s = &o->segs[i];
        if (s->kind == SEG_BYTES)
            h = bytes(h, s->bytes);
        else
            h = number(number(number(number(h, s->store), s->file), s->off), s->len);
    }
    return h;
}

// Of the DHT.
static uint64_t answer(uint64_t h, uint32_t kind, const struct dht_out *o)
{
    h = number(number(h, kind), o->op);
    for (uint32_t i = 0; kind == DHT_PEERS && i < o->peers_n; i++)
        h = address(h, &o->peers[i]);
    if (kind == DHT_ITEM)
        h = number(bytes(h, o->item.value), (uint64_t)o->item.seq);
    if (kind == DHT_SAMPLES)
        h = bytes(h, o->samples);
    return kind == DHT_DONE ? number(number(number(number(h, (uint64_t)o->err), o->asked), o->replied), o->found) : h;
}

uint64_t node_out_hash(uint64_t hash, enum node_kind kind, const struct node_out *o)
{
    uint64_t h = number(hash, (uint64_t)kind);
    switch (kind) {
    case NODE_IDLE: return number(h, o->deadline);
    case NODE_DGRAM: return bytes(address(number(number(h, (uint64_t)o->port), o->segment), &o->addr), o->bytes);
    case NODE_CONNECT: return address(number(h, o->conn), &o->addr);
    case NODE_SEND: return segments(number(h, o->conn), o);
    case NODE_CLOSE: return number(number(h, o->conn), o->flush);
    case NODE_RESUME: return number(h, o->conn);
    case NODE_JOB: return job(h, &o->job);
    case NODE_STREAM_RESUME:
    case NODE_STREAM_CANCEL: return number(h, o->id);
    case NODE_STREAM:
    case NODE_FETCH:
    case NODE_RESOLVE: return bytes(number(h, o->id), o->bytes);
    case NODE_MAP:
        return number(number(number(number(h, o->map.udp), o->map.port), o->map.external), o->map.lifetime_s);
    case NODE_SAVE: return bytes(bytes(number(h, o->id), o->key), o->bytes);
    case NODE_EVENT:
        h = number(number(number(h, (uint64_t)o->event.kind), o->event.torrent), o->event.file);
        if (o->event.kind == NODE_EVENT_DHT)
            h = answer(h, o->event.dht_kind, o->event.dht);
        return bytes(address(number(h, (uint64_t)o->event.err), &o->event.addr), o->event.text);
    }
    return h;
}
