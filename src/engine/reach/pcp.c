// See pcp.h.
#include "engine/reach/pcp.h"

void pcp_begin(struct pcp *p, const struct pcp_map *ask, nsec now)
{
    *p = (struct pcp){.ask = *ask, .at = now, .wait = PCP_FIRST_WAIT};
}

static void finish(struct pcp *p, enum err e)
{
    p->over = true;
    p->err = e;
}

enum pcp_step pcp_next(struct pcp *p, nsec now, struct buf *tx)
{
    if (!p->over && now >= p->at && p->tries == PCP_TRIES)
        finish(p, ERR_TIMEOUT);
    if (p->over)
        return PCP_OVER;
    if (now < p->at)
        return PCP_WAIT;
    struct wr w = wr_make(tx);
    pcp_map_write(&w, &p->ask);
    ASSERT(w.ok);
    p->tries++;
    p->at = now + p->wait;
    p->wait *= 2;
    return PCP_SEND;
}

void pcp_input(struct pcp *p, struct slice datagram)
{
    struct pcp_answer a;
    const enum err e = p->over ? ERR_PROTOCOL : pcp_answer_parse(&a, datagram);
    if (e == ERR_UNSUPPORTED)
        finish(p, e);
    if (e != ERR_OK || memcmp(a.map.nonce, p->ask.nonce, PCP_NONCE_LEN) != 0 || a.map.port != p->ask.port || a.map.udp != p->ask.udp)
        return;
    if (a.result != PCP_SUCCESS) {
        finish(p, ERR_REFUSED);
        return;
    }
    if (p->ask.lifetime_s != 0 && (a.map.external.port == 0 || a.map.lifetime_s == 0))
        return;                         // it says yes and gives nothing
    p->got = a.map;
    finish(p, ERR_OK);
}
