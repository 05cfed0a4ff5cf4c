// A NAT box: mappings from inside to outside, filters, time-outs. RFC 4787 (UDP), 5382 (TCP), 6888 (carrier NAT); a pure table.
#pragma once
#include "base/addr.h"
#include "base/map.h"

// RFC 4787 §4.1, §5. For mappings: endpoint-independent, address-dependent, address-and-port-dependent (EIM, ADM, APDM); for
// filters the same (EIF, ADF, APDF).
enum nat_rule { NAT_ANY, NAT_ADDRESS, NAT_PORT };
enum nat_ports { NAT_PRESERVE, NAT_SEQUENTIAL, NAT_RANDOM };

enum {
    NAT_MAPPINGS_MAX = 65536,
    NAT_PERMITS_MAX = 64,               // remote ends that one mapping remembers; the oldest goes
    NAT_PORT_FIRST = 1024,
    NAT_BOXES_MAX = 1 << 16,
};

struct nat_config {
    enum nat_rule map, filter;
    enum nat_ports port;
    nsec udp_timeout;                   // 0: 120 s
    nsec tcp_timeout;                   // of an idle stream; 0: 2 h 4 min (RFC 5382 REQ-5)
    bool refresh_in;                    // what comes in keeps a mapping alive too; RFC 4787 REQ-6: MAY
    bool hairpin;                       // hosts behind the box reach each other by its public address; REQ-9
    bool reset;                         // answers unasked SYNs by RST; otherwise they vanish
    bool no_udp;
    bool portmap;                       // does what UPnP and PCP ask for
    uint32_t mappings_max;              // 0: NAT_MAPPINGS_MAX
    uint32_t outer;                     // 1 + the box that this one is behind; 0: the internet
};

struct nat_permit {
    struct addr remote;
    nsec until;
};

struct nat_mapping {
    struct map_node by_in;              // key: (protocol, inside address, what of the remote counts)
    struct map_node by_out;             // key: (protocol, port)
    struct list age;                    // least recently used first
    uint8_t key[40], out_key[3];
    struct addr inside;
    uint16_t port;                      // outside
    bool tcp, fixed;                    // fixed: asked for by the host (UPnP, PCP)
    nsec until;
    struct nat_permit *permits;
    uint32_t permits_n, permits_cap;
};

struct nat_stats {
    uint64_t mapped, expired, refused_full, filtered;
};

struct nat {
    struct nat_config cfg;
    struct addr address;                // public; the port is not used
    const struct mem *mem;
    struct rng rng;
    struct map mappings, outs;
    struct list age;
    uint16_t port_next;
    struct nat_stats stats;
};

// ERR_NOMEM.
MUST_USE enum err nat_init(struct nat *n, const struct nat_config *cfg, const struct addr *address, const struct mem *mem, uint64_t seed);
void nat_done(struct nat *n);
// Something leaves: out is where it seems to come from. ERR_FULL: no mapping left; ERR_ACCESS: UDP is blocked; ERR_NOMEM.
MUST_USE enum err nat_out(struct nat *n, nsec now, bool tcp, const struct addr *inside, const struct addr *remote, struct addr *out);
// Something comes to a public port: out is whom it is for. ERR_NOT_FOUND: no mapping; ERR_ACCESS: filtered.
MUST_USE enum err nat_in(struct nat *n, nsec now, bool tcp, uint16_t port, const struct addr *remote, struct addr *out);
// Whom a public port belongs to, whatever the filter says. ERR_NOT_FOUND.
MUST_USE enum err nat_peek(const struct nat *n, nsec now, bool tcp, uint16_t port, struct addr *out);
// A lasting mapping as by UPnP or PCP; wanted 0: any port. ERR_UNSUPPORTED: not by this box; ERR_EXISTS: the port is another's; ERR_FULL.
MUST_USE enum err nat_portmap(struct nat *n, nsec now, bool tcp, const struct addr *inside, uint16_t wanted, uint16_t *out_port);
// Forgets all mappings.
void nat_reboot(struct nat *n);
uint32_t nat_mappings(const struct nat *n);
void nat_check(const struct nat *n);

// Shares of hosts behind NAT by class, in hundredths: EIM/EIF, EIM/ADF, EIM/APDF, symmetric (APDM/APDF), no UDP.
enum nat_class { NAT_CLASS_EIF, NAT_CLASS_ADF, NAT_CLASS_APDF, NAT_CLASS_SYMMETRIC, NAT_CLASS_BLOCKED, NAT_CLASSES };
struct nat_mix {
    const char *name;                   // nat-2025, nat-2010, nat-2005
    uint8_t share[NAT_CLASSES];
};
// NULL: no such mix.
const struct nat_mix *nat_mix_find(struct slice name);
enum nat_class nat_mix_draw(const struct nat_mix *m, struct rng *r);
struct nat_config nat_class_config(enum nat_class c);
// Plain punching between hosts of these classes succeeds: simulation note, section 4.
bool nat_punchable(enum nat_class a, enum nat_class b);
