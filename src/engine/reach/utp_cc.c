// How much may be under way: LEDBAT (RFC 6817), and the search for the path's MTU (RFC 8899 in spirit: probes are padded
// packets that travel alone, and their loss says nothing about congestion).
#include "engine/reach/utp_conn.h"
#include "engine/reach/utp_int.h"

enum {
    ETHERNET_MTU = 1500,
    MTU_CLOSE_ENOUGH = 8,               // the search ends when its bounds are so near
    MTU_LOSSES = 2,                     // of a probe of one size before that size is given up
    CWND_MIN_PACKETS = 2,               // RFC 6817 MIN_CWND
    MSS_SMALL = 400,                    // bytes of a packet at least, where a thin line makes windows small
    CWND_FULL_PACKETS = 4,              // a window that holds so many of them is filled with packets of full size
    GAIN_BYTES = 3000,                  // growth per round trip with an empty queue, as in libutp and libtorrent
    GAIN_SHARE_UP = 8, GAIN_SHARE_DOWN = 4,     // but of a small window no more than such a part
};

#define RANDOM_LOSS_US 10000            // less queueing than this: a loss says little about our rate
#define RTO_MIN (500 * NSEC_MS)         // BEP 29
#define RTO_START (1000 * NSEC_MS)
#define RTO_MAX (16 * NSEC_S)
#define MTU_PAUSE (600 * NSEC_S)        // until larger packets are tried again

static void set_mss(struct conn *c)
{
    c->mss = c->mtu_floor - UTP_HEADER_LEN;
}

void utp_cc_init(struct conn *c)
{
    c->mtu_floor = PACKET_MIN;
    c->mtu_ceiling = ETHERNET_MTU - (c->addr.family == ADDR_IPV4 ? IP_HEADERS_V4 : IP_HEADERS_V6);
    set_mss(c);
    c->cwnd = CWND_START_PACKETS * c->mss;
    c->ssthresh = UTP_WINDOW_MAX;
    c->slow_start = true;
    c->rto = RTO_START;
    c->min_rtt = NSEC_NEVER;
}

// RFC 6298 section 2.
void utp_cc_rtt(struct conn *c, nsec sample)
{
    if (c->srtt == 0) {
        c->srtt = sample;
        c->rttvar = sample / 2;
    } else {
        const nsec off = sample > c->srtt ? sample - c->srtt : c->srtt - sample;
        c->rttvar += off / 4 - c->rttvar / 4;
        c->srtt += sample / 8 - c->srtt / 8;
    }
    c->min_rtt = u64_min(c->min_rtt, sample);
    c->rto = u64_max(RTO_MIN, u64_min(RTO_MAX, c->srtt + 4 * c->rttvar));
}

// The clocks' difference is in it, so it may wrap: only differences mean something.
static uint32_t earlier(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0 ? a : b; }

void utp_cc_delay(struct conn *c, nsec now, uint32_t diff_us)
{
    if (diff_us == 0)
        return;                         // it has not had a packet of ours
    if (c->base_n == 0 || now - c->base_minute >= 60 * NSEC_S) {
        c->base_i = c->base_n == 0 ? 0 : (c->base_i + 1) % BASE_HISTORY;
        c->base_n = u32_min(BASE_HISTORY, c->base_n + 1);
        c->base_us[c->base_i] = diff_us;
        c->base_minute = now;
    }
    c->base_us[c->base_i] = earlier(c->base_us[c->base_i], diff_us);
    c->delays_i = (c->delays_i + 1) % DELAY_SAMPLES;
    c->delays[c->delays_i] = diff_us;
    c->delays_n = u32_min(DELAY_SAMPLES, c->delays_n + 1);
    uint32_t base = c->base_us[c->base_i], least = diff_us;
    for (uint32_t i = 0; i < c->base_n; i++)
        base = earlier(base, c->base_us[i]);
    // A small window brings few samples in a round trip: older ones are of another queue.
    const uint32_t samples = u32_min(c->delays_n, u32_max(1, c->cwnd / utp_cc_packet(c, false) / 2));
    for (uint32_t i = 0; i < samples; i++)
        least = earlier(least, c->delays[(c->delays_i + DELAY_SAMPLES - i) % DELAY_SAMPLES]);
    c->delay_us = least - base;
    c->delay_known = true;
    if (c->delay_us > TARGET_US / 2)
        c->thin = true;
    else if (c->delay_us < RANDOM_LOSS_US)
        c->thin = false;
}

// On a thin line two full packets of each of four connections are more queue than we may make; two small ones are not. Where packets
// get lost a small window is made of full ones: the rate is as their size.
static uint32_t packet_min(const struct conn *c) { return c->thin ? u32_min(MSS_SMALL, c->mss) : c->mss; }

static uint32_t cwnd_min(const struct conn *c) { return CWND_MIN_PACKETS * packet_min(c); }

uint32_t utp_cc_packet(const struct conn *c, bool quiet)
{
    return quiet ? u32_min(MSS_SMALL, c->mss) : u32_min(c->mss, u32_max(c->cwnd / CWND_FULL_PACKETS, packet_min(c)));
}

// What a round trip may add or take at most. On a line of 50 kB/s 3000 bytes of each of four connections are 240 ms of queue, and so
// they swung between none and 350 ms together. Less is added to a large window than is taken from it, in parts: so windows come together.
static uint32_t gain_up(const struct conn *c)
{
    return c->thin ? u32_min(GAIN_BYTES, u32_max(c->cwnd / GAIN_SHARE_UP, MSS_SMALL)) : GAIN_BYTES;
}

static uint32_t gain_down(const struct conn *c) { return u32_min(GAIN_BYTES, c->cwnd / GAIN_SHARE_DOWN); }

// RFC 6817 section 2.4.2; the loss-free start is that of TCP until a queue builds up.
void utp_cc_acked(struct conn *c, uint32_t bytes, bool was_full)
{
    const uint32_t delay = c->delay_known ? c->delay_us : 0;
    if (c->slow_start && (delay > TARGET_US / 4 || c->cwnd >= c->ssthresh)) {
        c->slow_start = false;
        // What is under way beyond the path's own capacity is the queue; a round trip more of it is coming.
        if (delay > TARGET_US / 4 && c->min_rtt != NSEC_NEVER) {
            const uint64_t own = c->min_rtt / NSEC_US, all = own + delay;
            c->cwnd = u32_max(cwnd_min(c), (uint32_t)((uint64_t)c->cwnd * u64_max(own, all / 2) / all));
        }
    }
    if (delay <= TARGET_US) {
        if (!was_full)
            return;                     // it was not the window that held us back
        const uint64_t gain = (uint64_t)gain_up(c) * bytes * (TARGET_US - delay) / TARGET_US + c->gain_rest;
        c->gain_rest = gain % c->cwnd;
        c->cwnd += c->slow_start ? bytes : (uint32_t)(gain / c->cwnd);
    } else {
        const uint64_t loss = (uint64_t)gain_down(c) * bytes / c->cwnd * (delay - TARGET_US) / TARGET_US;
        c->cwnd -= (uint32_t)u64_min(u64_min(loss, bytes), c->cwnd);
    }
    c->cwnd = u32_max(cwnd_min(c), u32_min(c->cwnd, UTP_WINDOW_MAX));
}

// Once for each round trip. With an empty queue the loss was most likely not ours: we give way a little (as TCP Veno does).
void utp_cc_lost(struct conn *c)
{
    const bool lone = c->delay_known && c->delay_us < RANDOM_LOSS_US && !c->slow_start;
    c->cwnd = u32_max(cwnd_min(c), lone ? c->cwnd / 5 * 4 : c->cwnd / 2);
    c->ssthresh = c->cwnd;
    c->slow_start = false;
}

void utp_cc_timeout(struct conn *c)
{
    c->ssthresh = u32_max(cwnd_min(c), c->cwnd / 2);
    c->cwnd = cwnd_min(c);
    c->slow_start = true;
    c->rto = u64_min(RTO_MAX, c->rto * 2);
    c->rto_n++;
    if (c->rto_n >= 2 && c->mtu_floor > PACKET_MIN) {
        // A path that has become narrower swallows large packets without a word.
        c->mtu_ceiling = c->mtu_floor - 1;
        c->mtu_floor = PACKET_MIN;
        set_mss(c);
    }
}

uint32_t utp_mtu_next(const struct conn *c, nsec now)
{
    if (c->mtu_probe != 0 || c->mtu_ceiling <= c->mtu_floor + MTU_CLOSE_ENOUGH || now < c->mtu_at)
        return 0;
    // The largest first: most paths carry it.
    const uint32_t most = u32_min(c->mtu_ceiling, c->mtu_floor + UTP_PAD_MAX);
    return c->mtu_tried ? u32_min(most, (c->mtu_floor + c->mtu_ceiling + 1) / 2) : most;
}

void utp_mtu_result(struct conn *c, nsec now, bool arrived)
{
    c->mtu_probe = 0;
    if (arrived) {
        c->mtu_losses = 0;
        c->mtu_floor = u32_max(c->mtu_floor, c->mtu_size);
        set_mss(c);
    } else if (++c->mtu_losses >= MTU_LOSSES) {
        c->mtu_losses = 0;
        c->mtu_tried = true;
        c->mtu_ceiling = u32_max(c->mtu_floor, c->mtu_size - 1);
    }
    if (c->mtu_ceiling <= c->mtu_floor + MTU_CLOSE_ENOUGH && c->mtu_ceiling < ETHERNET_MTU - IP_HEADERS_V6) {
        // It may be another path some day.
        c->mtu_at = now + MTU_PAUSE;
        c->mtu_tried = false;
        c->mtu_ceiling = ETHERNET_MTU - (c->addr.family == ADDR_IPV4 ? IP_HEADERS_V4 : IP_HEADERS_V6);
    }
}
