// Port mapping: which mappings we hold at the router, when they are renewed, and who is told of the external port and address.
#include "engine/node/node_external.h"
#include "engine/node/node_int.h"
#include "engine/node/node_map.h"
#include "engine/node/node_torrent.h"

#include "codec/pcp.h"

enum {
    MAP_LIFETIME_S = 3600,              // asked for; renewed at half of what was given
    MAP_RENEW_MIN_S = 15,
    MAP_RETRY_S = 600,                  // no router, or it does not want to
    MAP_NEWS_S = 15,                    // what a router says unasked is heard so often at most: anybody can say it
    MAP_STOP_S = 2,                     // so long a stop waits for the mappings to be taken back
};

// Index in node.maps.
static bool is_udp(uint32_t i) { return i == 1; }

void map_start(struct node *n)
{
    n->port_told = n->cfg.listen_port;
    for (uint32_t i = 0; i < ARRAY_LEN(n->maps); i++) {
        n->maps[i] = (struct port_map){.external = n->cfg.listen_port, .due = NSEC_NEVER};
        if (n->cfg.map_ports && n->cfg.listen_port != 0)
            n->maps[i].due = n->now;
    }
}

void map_beat(struct node *n)
{
    for (uint32_t i = 0; i < ARRAY_LEN(n->maps); i++)
        if (n->maps[i].due <= n->now && !n->maps[i].asking)
            n->maps[i].wants = n->maps_due = true;
}

void map_stop(struct node *n)
{
    n->map_stop_at = n->now + MAP_STOP_S * NSEC_S;
    for (uint32_t i = 0; i < ARRAY_LEN(n->maps); i++) {
        n->maps[i].due = NSEC_NEVER;
        n->maps[i].wants = n->maps[i].held;
        n->maps_due = true;
        if (n->maps[i].held)
            n->beat_at = u64_min(n->beat_at, n->map_stop_at);
    }
}

void map_news(struct node *n, const struct addr *from, struct slice data)
{
    if (n->stopping || n->now < n->map_news_at || !addr_is_local(from) || !pcp_is_news(data))
        return;
    n->map_news_at = n->now + MAP_NEWS_S * NSEC_S;
    for (uint32_t i = 0; i < ARRAY_LEN(n->maps); i++)
        if (n->maps[i].due != NSEC_NEVER)
            n->maps[i].due = n->now;    // asked for by the next beat
}

bool map_is_stopped(const struct node *n)
{
    bool held = false;
    for (uint32_t i = 0; i < ARRAY_LEN(n->maps); i++)
        held |= n->maps[i].held;
    return !held || n->now >= n->map_stop_at;
}

bool map_poll(struct node *n, struct node_out *out, enum node_kind *kind)
{
    for (uint32_t i = 0; i < ARRAY_LEN(n->maps); i++) {
        struct port_map *m = &n->maps[i];
        if (!m->wants || m->asking)
            continue;
        m->wants = false;
        m->asking = true;
        m->releasing = n->stopping;
        out->map = (struct node_map){.udp = is_udp(i), .port = n->cfg.listen_port, .external = m->external,
                                     .lifetime_s = n->stopping ? 0 : MAP_LIFETIME_S};
        *kind = NODE_MAP;
        return true;
    }
    n->maps_due = false;
    return false;
}

// TCP decides what is told: one number for all. UDP wishes for the same.
static void use_port(struct node *n, uint16_t port)
{
    n->maps[1].external = n->maps[1].held ? n->maps[1].external : port;
    if (port == n->port_told)
        return;
    log_line(n->env->log, LOG_INFO, "the router's port for us is %u", port);
    n->port_told = port;
    for (uint32_t i = 0; i < n->torrents_n; i++)
        if (n->torrents[i] != NULL)
            torrent_port(n, n->torrents[i]);
}

// Another address outside: whoever was told of us is told again, from there.
static void use_address(struct node *n, const struct addr *a)
{
    if (a->family == ADDR_NONE || addr_is_any(a) || addr_same_ip(a, &n->map_address))
        return;
    const bool moved = n->map_address.family != ADDR_NONE;
    char text[ADDR_TEXT_MAX];
    n->map_address = *a;
    external_vote(n, VOTES_ROUTER, a);
    if (!moved)
        return;
    log_line(n->env->log, LOG_INFO, "the router's address is %s now", addr_format_ip(a, text));
    torrents_tell_again(n);
}

void node_mapped(struct node *n, nsec now, bool udp, enum err e, const struct addr *external, uint32_t lifetime_s)
{
    ASSERT(now >= n->now);
    n->now = now;
    struct port_map *m = &n->maps[udp];
    m->asking = false;
    n->maps_due = true;                 // it may have been wanted again meanwhile
    if (n->stopping) {
        m->held = !m->releasing && (m->held || e == ERR_OK);
        m->wants = m->held;             // what came too late is taken back, too
        return;
    }
    m->held = e == ERR_OK;
    if (e != ERR_OK) {
        log_line(n->env->log, LOG_DEBUG, "no mapping for port %u (%s): %s", n->cfg.listen_port, udp ? "UDP" : "TCP", err_text(e));
        m->due = now + MAP_RETRY_S * NSEC_S;
        return;
    }
    m->due = now + u64_max(lifetime_s / 2, MAP_RENEW_MIN_S) * NSEC_S;
    m->external = external->port != 0 ? external->port : m->external;
    if (!udp)
        use_port(n, m->external);
    use_address(n, external);
}
