// What the other side says of our packets: arrived, lost, or nothing at all. Losses are found by the order of sending, as in
// RFC 9002, so that a lost repetition is found like any other.
#include "engine/reach/utp_conn.h"
#include "engine/reach/utp_int.h"

enum {
    REORDER_PACKETS = 3,                // later ones acknowledged before one counts as lost (RFC 5681, 9002)
    SYN_TRIES = 3, FIN_TRIES = 4, DATA_TRIES = 8,
};

struct news {
    uint32_t bytes;
    bool rtt_known;
    nsec rtt;
    uint64_t rtt_serial;
};

static void mark_acked(struct utp *u, struct conn *c, uint64_t seq, struct news *news)
{
    struct sent *s = sent_at(c, seq);
    if (s->state == SENT_ACKED)
        return;
    if (s->state == SENT_FLYING)
        c->flight -= s->len;
    else
        c->lost_n--;
    s->state = SENT_ACKED;
    news->bytes += s->len;
    const nsec age = u->now - s->at;
    if (s->tries == 1 && s->serial >= news->rtt_serial) {
        news->rtt_known = true;
        news->rtt = age;
        news->rtt_serial = s->serial;
    }
    // A repetition that is acknowledged sooner than it can have come was needless: the word is about the first copy.
    if (s->tries == 1 || age >= c->min_rtt / 4 * 3)
        c->serial_acked = u64_max(c->serial_acked, s->serial);
    c->sack_high = u64_max(c->sack_high, seq);
    if (seq == c->mtu_probe)
        utp_mtu_result(c, u->now, s->tries == 1);
}

static void mark_lost(struct utp *u, struct conn *c, uint64_t seq)
{
    struct sent *s = sent_at(c, seq);
    ASSERT(s->state == SENT_FLYING);
    s->state = SENT_LOST;
    c->flight -= s->len;
    c->lost_n++;
    c->lost_from = u64_min(c->lost_from, seq);
    u->stats.lost++;
}

static void forget_acked(struct conn *c, uint64_t ack)
{
    while (c->una <= ack) {
        const struct sent *s = sent_at(c, c->una);
        ASSERT(s->state == SENT_ACKED);
        c->una_off = s->off + s->len;
        c->una++;
    }
    c->lost_from = u64_max(c->lost_from, c->una);
}

static void read_sack(struct utp *u, struct conn *c, const struct utp_packet *p, uint64_t ack, struct news *news)
{
    for (size_t i = 0; i < p->sack.n; i++) {
        const uint8_t bits = p->sack.p[i];
        for (uint32_t k = 0; bits >> k != 0; k++) {
            const uint64_t seq = ack + 2 + 8 * i + k;
            if (seq >= c->next)
                return;
            if ((bits >> k & 1) != 0 && seq >= c->una)
                mark_acked(u, c, seq, news);
        }
    }
}

static void find_losses(struct utp *u, struct conn *c)
{
    bool congested = false;
    for (uint64_t seq = c->una; seq <= c->sack_high && seq < c->next; seq++) {
        struct sent *s = sent_at(c, seq);
        if (s->state != SENT_FLYING || s->serial + REORDER_PACKETS > c->serial_acked)
            continue;
        mark_lost(u, c, seq);
        if (seq == c->mtu_probe)
            utp_mtu_result(c, u->now, false);           // it was too large, or it was not: that is found out
        else
            congested |= s->serial > c->serial_recovery;
    }
    if (!congested)
        return;
    utp_cc_lost(c);
    c->serial_recovery = c->serial;
}

// For those who send no bit masks (BEP 29: three acknowledgements of the same number).
static void count_duplicates(struct utp *u, struct conn *c, const struct utp_packet *p, bool moved)
{
    if (moved || p->type != UTP_STATE || p->sack.n != 0 || c->una == c->next || sent_at(c, c->una)->state != SENT_FLYING) {
        c->dup_acks = 0;
        return;
    }
    if (++c->dup_acks != REORDER_PACKETS)
        return;
    const bool probe = c->una == c->mtu_probe;
    const bool congested = !probe && sent_at(c, c->una)->serial > c->serial_recovery;
    mark_lost(u, c, c->una);
    if (probe)
        utp_mtu_result(c, u->now, false);
    if (congested) {
        utp_cc_lost(c);
        c->serial_recovery = c->serial;
    }
}

bool utp_acked(struct utp *u, struct conn *c, const struct utp_packet *p)
{
    const uint64_t ack = seq16_unwrap(c->una, p->ack);
    if (ack >= c->next || ack + SENTS_MAX < c->una)
        return false;                   // of what we have not sent, or of very long ago: not from our peer
    if (ack + 1 < c->una)
        return true;
    struct news news = {0};
    const bool was_full = c->flight + 2 * c->mss > c->cwnd;
    c->peer_window = p->window;
    for (uint64_t seq = c->una; seq <= ack; seq++)
        mark_acked(u, c, seq, &news);
    const bool moved = c->una <= ack;
    forget_acked(c, ack);
    if (p->sack.n != 0)
        read_sack(u, c, p, ack, &news);
    if (c->sack_high >= c->una && c->una != c->next)
        find_losses(u, c);
    count_duplicates(u, c, p, moved);
    if (news.rtt_known)
        utp_cc_rtt(c, news.rtt);
    if (news.bytes != 0 || moved) {
        c->acked_bytes += news.bytes;
        c->rto_n = 0;
        utp_cc_acked(c, news.bytes, was_full);
        utp_quiet_consider(u, c);
        c->rto_at = c->una == c->next ? NSEC_NEVER : u->now + c->rto;
    } else if (c->peer_window < c->mss) {
        c->rto_n = 0;                   // it lives, it only has no room
    }
    if (c->peer_window >= c->mss) {
        c->window_at = NSEC_NEVER;
        c->probing_window = false;
    }
    utp_touch(u, c);
    return true;
}

void utp_rto(struct utp *u, struct conn *c)
{
    c->rto_at = NSEC_NEVER;
    const bool only_fin = c->state == CONN_LEAVING && c->una_off == c->end_off;
    const uint32_t tries = c->state == CONN_SYN_SENT ? SYN_TRIES : only_fin ? FIN_TRIES : DATA_TRIES;
    u->stats.timeouts++;
    utp_cc_timeout(c);
    if (c->rto_n >= tries) {
        utp_end(u, c, ERR_TIMEOUT);
        return;
    }
    if (c->state == CONN_SYN_SENT) {
        c->syn_due = true;
        utp_touch(u, c);
        return;
    }
    for (uint64_t seq = c->una; seq < c->next; seq++) {
        if (sent_at(c, seq)->state == SENT_FLYING)
            mark_lost(u, c, seq);
    }
    if (c->mtu_probe != 0)
        utp_mtu_result(c, u->now, false);
    c->serial_recovery = c->serial;
    utp_touch(u, c);
}
