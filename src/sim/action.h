// What a harness does to a world at a time: lives of hosts and the fault menu.
//
// The table of actions is the one list of what can go wrong: scenarios write an action as `NAME key=value …`. Every action but those of
// the whole world knows node= (whom it concerns) and share=30% (of those, drawn when it happens), most know for=5s (then it is undone;
// without it: for ever). Faults of paths know to= as well (the far side; without it: everybody). What else an action takes is in its row.
#pragma once
#include "base/env.h"

#define ACTION_EVERY UINT32_MAX

enum action_kind {
    // lives
    ACTION_START, ACTION_LEAVE,
    ACTION_CRASH,                       // a: enum crash_fate, b: silent; undone: it starts again
    ACTION_PAUSE,                       // a: ns
    ACTION_HEAL,                        // ends all faults that last; who is down starts
    // what the first scenarios used
    ACTION_SIDE,                        // a: side of a partition; 0 is the main one
    ACTION_SPACE,                       // a: bytes that fit on the disk from now on, 0: no limit
    ACTION_EIO,                         // a: ppm
    ACTION_LOSS,                        // a: ppm of packets; count 0: the whole world's, in place of what is configured
    ACTION_RATE,                        // a: up, b: down, bytes/s
    // packets
    ACTION_BURST,                       // Gilbert-Elliott: a: ppm that a burst of loss begins at a packet, b: that it ends
    ACTION_DUPLICATE,                   // a: ppm of datagrams
    ACTION_REORDER,                     // a: ppm of datagrams, b: late by up to so many ns
    ACTION_REPLAY,                      // a: ppm of datagrams that come again, b: so many ns later
    ACTION_FLIP,                        // a: ppm of datagrams with one bit turned over
    ACTION_MTU,                         // a: longer datagrams (IP bytes) vanish without a word
    ACTION_MASK,                        // a: 64 bits; datagram i of each sender from now on is lost where bit i is set
    // paths
    ACTION_CLOG,                        // nothing gets through until it ends; then all comes, in order
    ACTION_SWIZZLE,                     // the hosts are clogged one by one and freed in another order, all within `for`
    ACTION_HOLE,                        // one way: nothing arrives
    ACTION_SLOW,                        // a: latency in thousandths (10000: ten times)
    ACTION_ROUTE,                       // a: ns more, one way
    ACTION_THROTTLE,                    // a: ppm of the line that is left, b: same downwards
    ACTION_SCAN,                        // as a Wi-Fi card that looks around: away for b ns in every a ns
    // partitions
    ACTION_ISOLATE,                     // each host alone
    ACTION_SPLIT,                       // a: ppm of the hosts go to another side than the rest
    ACTION_BRIDGE,                      // reaches all sides
    ACTION_NO_UDP, ACTION_NO_TCP,       // swallowed on the way out and in
    ACTION_RESET,                       // all streams break now; a: only those to or from that port, 0: all
    // nodes
    ACTION_NOMEM,                       // a: so many allocations still work, then none
    ACTION_CPU,                         // a: ns that each input costs
    ACTION_DESCRIPTORS,                 // a: streams at once
    ACTION_STORM,                       // crash, and back within a ns, each at its own time
    // clocks
    ACTION_SKEW,                        // a: ppm, signed
    ACTION_JUMP,                        // a: ns, signed: the wall clock
    // addresses: hosts behind a NAT box
    ACTION_NAT_REBOOT,                  // the box of host forgets all mappings
    ACTION_NAT_ADDRESS,                 // and gets another public address
    // infrastructure
    ACTION_WEB,                         // a: enum web_fault of fetches to the host (its tracker), or of all fetches of the world
    ACTION_DNS,                         // names do not resolve
    // disks
    ACTION_EIO_ONCE,                    // the next write, sync or read fails
    ACTION_ROT,                         // a: so many places of what is stored change
    ACTION_MISDIRECT,                   // the next write lands at another place, and says that all is well
    ACTION_SHORT,                       // the next write keeps only a part, and fails
    ACTION_DISK_SLOW,                   // a: ns of each operation, b: bytes/s (0: as before)
    ACTION_DISK_STALL,                  // a: ns in which nothing completes
    ACTION_KINDS,
};

enum web_fault { WEB_FINE, WEB_DEAD, WEB_SLOW, WEB_GARBAGE, WEB_ERRORS, WEB_CUT };

struct action {
    enum action_kind kind;
    uint32_t host;                      // the first that it concerns
    uint64_t a, b;
    uint32_t count;                     // so many from host on; 0: one; ACTION_EVERY: all that there are
    uint32_t to, to_count;              // faults of paths: 1 + the first host of the far side, 0: everybody; how many, 0: one
    uint32_t share_ppm;                 // of the hosts; 0: all
    nsec lasts;                         // 0: for ever
};

// Random scenarios leave each group out half of the time.
enum action_group {
    ACTION_GROUP_LIFE, ACTION_GROUP_PACKET, ACTION_GROUP_PATH, ACTION_GROUP_PARTITION, ACTION_GROUP_NODE, ACTION_GROUP_CLOCK,
    ACTION_GROUP_ADDRESS, ACTION_GROUP_SERVICE, ACTION_GROUP_DISK, ACTION_GROUPS,
};

enum action_scope { SCOPE_HOSTS, SCOPE_PATHS, SCOPE_WORLD };

enum action_arg {
    ARG_NONE, ARG_COUNT,
    ARG_PPM,                            // 3%, 0.25%, 400ppm
    ARG_TIME,                           // 20ms, 1.5s, 1h30m; in ns
    ARG_BYTES,                          // 1400, 64KiB, 3MB
    ARG_RATE,                           // 400kbit, 1.5Mbit, 50kB; in bytes/s
    ARG_MASK,                           // 0x8001
    ARG_SIGNED_PPM, ARG_SIGNED_TIME,    // -200ppm, -262s; two's complement
    ARG_FATE,                           // mixed, kept, dropped
    ARG_WEB,                            // fine, dead, slow, garbage, errors, cut
    ARG_FLAG,                           // no, yes
};

struct action_param {
    const char *key;                    // NULL: takes none
    enum action_arg kind;
    uint64_t low, high;                 // of random scenarios (signed ones: as int64_t)
    bool optional;                      // 0 if it is not written
};

struct action_info {
    const char *name;
    enum action_group group;
    enum action_scope scope;
    bool lasts;                         // knows for=
    struct action_param a, b;
    const char *help;
};

const struct action_info *action_info(enum action_kind kind);
static inline const char *action_name(enum action_kind kind) { return action_info(kind)->name; }
const char *action_group_name(enum action_group g);
// ERR_NOT_FOUND.
MUST_USE enum err action_find(struct slice name, enum action_kind *out);
// An action of that kind for everybody that it can concern, with nothing else set. Hosts must be named still if its scope is SCOPE_HOSTS.
struct action action_make(enum action_kind kind);
// A value of that kind in the words of people. ERR_SYNTAX; ERR_RANGE: more than 100 %, 10 years, 10^9, half a clock's speed.
MUST_USE enum err action_value(enum action_arg kind, struct slice text, uint64_t *out);
// What action_value takes: "a share such as 3%".
const char *action_expects(enum action_arg kind);
// Writes a value so that action_value gives it back.
void action_value_write(struct wr *w, enum action_arg kind, uint64_t v);
// The kind of value of a key other than node= and to=. ERR_NOT_FOUND: the action takes no such key.
MUST_USE enum err action_key(const struct action *a, struct slice key, enum action_arg *out);
// Sets one key=value of an action whose kind is known. Errors as of action_key and action_value.
MUST_USE enum err action_set(struct action *a, struct slice key, struct slice value);
// Writes ` key=value …` for all that is set; action_set reads it back.
void action_write(struct wr *w, const struct action *a);
