// KRPC, the messages of the DHT: one bencoded dictionary in one datagram. BEP 5, 32, 33, 42, 43, 44, 45, 51.
//
//   query  {a: {id, …}, q: method, ro, t, v, y: q}      reply  {ip, r: {id, …}, t, v, y: r}      error  {e: [code, text], t, y: e}
#pragma once
#include "base/addr.h"
#include "codec/bencode.h"
#include "codec/bloom.h"
#include "codec/dht_item.h"
#include "codec/node_id.h"

enum {
    KRPC_BYTES_MAX = 2048,              // of one message that we read
    KRPC_TID_MAX = 64,                  // transaction ids are echoed as they are; longer ones are refused
    KRPC_TOKEN_MAX = 64,
    KRPC_NODE_V4_LEN = 26,              // id, IPv4, port
    KRPC_NODE_V6_LEN = 38,
    KRPC_SAMPLES_MAX = 20,              // BEP 51: hashes in one reply that we make
    KRPC_VERSION_LEN = 4,
};

enum krpc_kind { KRPC_QUERY, KRPC_REPLY, KRPC_ERROR };

enum krpc_method {
    KRPC_UNKNOWN = 0, KRPC_PING, KRPC_FIND_NODE, KRPC_GET_PEERS, KRPC_ANNOUNCE_PEER, KRPC_GET, KRPC_PUT, KRPC_SAMPLE, KRPC_METHODS_N,
};

enum krpc_code {
    KRPC_GENERIC = 201, KRPC_SERVER = 202, KRPC_PROTOCOL = 203, KRPC_METHOD_UNKNOWN = 204, KRPC_TOO_BIG = 205, KRPC_BAD_SIGNATURE = 206,
    KRPC_SALT_TOO_BIG = 207, KRPC_CAS_MISMATCH = 301, KRPC_SEQ_TOO_OLD = 302,
};

// One message; slices are borrowed. What is empty or 0 is not there, where a has_ flag does not say it.
struct krpc {
    enum krpc_kind kind;
    struct slice tid;                   // t
    struct slice version;               // v of the outer dictionary
    struct addr ip;                     // ip: how the sender sees the receiver (BEP 42)
    bool read_only;                     // ro (BEP 43)
    enum krpc_method method;            // queries

    bool has_id, has_target;
    uint8_t id[NODE_ID_LEN];            // of the sender
    uint8_t target[NODE_ID_LEN];        // target or info_hash
    bool has_want, want_v4, want_v6;    // BEP 32
    struct slice token;
    uint16_t port;                      // announce_peer; 0: none
    bool implied_port, seed, noseed, scrape;    // scrape: BEP 33

    struct slice nodes, nodes6;         // compact; of a whole number of nodes
    struct slice values;                // a bencoded list; krpc_value reads it
    struct slice bloom_seeds, bloom_peers;      // BLOOM_LEN bytes or empty
    bool has_interval;
    uint32_t interval_s, num;           // sample_infohashes (BEP 51)
    struct slice samples;               // 20 bytes each

    struct slice value;                 // v of an item: one bencoded value (BEP 44)
    struct slice salt;
    bool has_key, has_sig, has_seq, has_cas;
    uint8_t key[SIGN_PUBLIC_LEN], sig[SIGN_LEN];
    int64_t seq, cas;

    int32_t code;                       // errors
    struct slice text;
};

// ERR_PROTOCOL: not one dictionary (bytes after it are ignored), no transaction id or kind, an id that is not 20 bytes long, a query or
// reply without an id, a query of a known method without its target. Optional values of a wrong type or length are not there.
MUST_USE enum err krpc_parse(struct krpc *out, struct slice bytes);
// Writes a message canonically: whatever is set. Without room w->ok is cleared.
void krpc_write(struct wr *w, const struct krpc *m);
// "get_peers"; "" for KRPC_UNKNOWN.
const char *krpc_method_name(enum krpc_method m);

// Node i of a compact list. False: there is none.
bool krpc_node(struct slice nodes, enum addr_family family, uint32_t i, uint8_t id[NODE_ID_LEN], struct addr *out);
void krpc_node_write(struct wr *w, const uint8_t id[NODE_ID_LEN], const struct addr *a);
// Begins to read a list of values, then the next peer of it; false: no more. Items that are no peers are passed over.
void krpc_values(struct bencode *b, struct slice values);
bool krpc_value(struct bencode *b, struct addr *out);
// 6 or 18 bytes, the compact form of an address.
void krpc_addr_write(struct wr *w, const struct addr *a);
