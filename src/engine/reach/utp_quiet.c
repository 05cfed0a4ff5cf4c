// A quiet moment: all connections that send hold still together until what is queued has drained, and measure the path as it is.
//
// LEDBAT (RFC 6817 section 4.5) takes the least delay that it has seen for that of the empty path. Who begins while others keep their
// 100 ms of queue takes that for empty and adds 100 ms of its own, and the others give way to it. LEDBAT++ lets each flow slow down by
// itself now and then; but the flows over our line are all ours, so they can do it at once, and briefly.
#include "engine/reach/utp_conn.h"
#include "engine/reach/utp_int.h"

#define QUIET_MAX (1000 * NSEC_MS)      // of one quiet moment
#define QUIET_PAUSE (15 * NSEC_S)       // between two
#define QUIET_LOOK (1 * NSEC_S)         // whether more than one sends

static bool is_sending(const struct conn *c)
{
    return c != NULL && (c->state == CONN_OPEN || c->state == CONN_LEAVING) && c->flight != 0;
}

void utp_quiet_consider(struct utp *u, const struct conn *c)
{
    if (u->now < u->quiet_next || u->quiet_until != 0 || !c->delay_known || c->delay_us < TARGET_US / 2)
        return;
    uint32_t sending = 0;
    nsec rtt = 0, least = 0;
    for (uint32_t i = 0; i < u->conns_high; i++) {
        if (!is_sending(u->conns[i]))
            continue;
        sending++;
        rtt = u64_max(rtt, u->conns[i]->srtt);
        least = u64_max(least, u->conns[i]->min_rtt == NSEC_NEVER ? 0 : u->conns[i]->min_rtt);
    }
    if (sending < 2) {                  // alone it has seen the empty path
        u->quiet_next = u->now + QUIET_LOOK;
        return;
    }
    u->quiet_until = u->now + u64_min(rtt + least + 2 * ACK_DELAY, QUIET_MAX);
    u->quiet_next = u->quiet_until + QUIET_PAUSE;
    u->stats.quiets++;
}

void utp_quiet_tick(struct utp *u)
{
    if (u->quiet_until == 0 || u->now < u->quiet_until)
        return;
    u->quiet_until = 0;
    for (uint32_t i = 0; i < u->conns_high; i++)
        if (u->conns[i] != NULL && !utp_tx_idle(u->conns[i]))
            utp_touch(u, u->conns[i]);
}
