// Recordings: the inputs of one node and a hash of what it answered, frame by frame. The real host writes them (--record), the
// laboratory replays them. docs/LAB.md describes the file.
//
// A file begins with RECORD_MAGIC; then frames: u32 length, then the frame's fields, all big-endian.
#pragma once
#include "base/addr.h"

#define RECORD_MAGIC "kith-record 4\n"

enum {
    RECORD_FRAME_MAX = 64 << 20,        // bytes of one frame
    RECORD_SLICES_MAX = 3,
    RECORD_NUMS = 6,
};

// nums and slices of each kind, in this order; what is not named is 0 or empty.
enum record_kind {
    RECORD_NONE,
    RECORD_NEW,                         // seed; struct node_config as it is in memory, saved DHT, its routers
    RECORD_TICK,
    RECORD_ACCEPT,                      // port, conn that came back; addr
    RECORD_CONNECTED,                   // conn, err
    RECORD_ROOM,                        // conn
    RECORD_RX,                          // conn; the bytes
    RECORD_SENT,                        // conn, len
    RECORD_CLOSED,                      // conn, err
    RECORD_DATAGRAM,                    // port; addr; the bytes
    RECORD_JOB_DONE,                    // id, err, file; SHA-1 state, leaves or stats, bytes read
    RECORD_FETCHED,                     // id, err, status; body
    RECORD_RESOLVED,                    // id, err; addresses: family, 16 bytes, port each
    RECORD_SAVED,                       // id, err
    RECORD_READ_FAILED,                 // store, file, err
    RECORD_ADD,                         // flags, torrent that came back, err, limits up and down; torrent file, root, resume
    RECORD_PRIORITIES,                  // of the RECORD_ADD or RECORD_BEGIN that follows; one byte for each file
    RECORD_PEER,                        // torrent, err; addr
    RECORD_STOP,
    RECORD_ADMIT,                       // 0 admit, 1 revoke; hash
    RECORD_DRAINED,                     // hash of all outputs of the polls until idle, how many
    RECORD_MAPPED,                      // UDP, err, lifetime in s; the external address
    RECORD_REMOVE,                      // torrent, err
    RECORD_LIMITS,                      // torrent, 0: all together; up, down, err
    RECORD_BLOCKED,                     // of the RECORD_NEW that follows: struct range4 and range6 as they are in memory
    RECORD_MAGNET,                      // torrent that came back, err; the link
    RECORD_BEGIN,                       // as RECORD_ADD, with the torrent that has its metadata now
    RECORD_SELECT,                      // torrent, err; priorities
    RECORD_HEAD,                        // id, status; lines of a web server's answer
    RECORD_WEB_ROOM,                    // id
    RECORD_WEB_RX,                      // id; the bytes
    RECORD_NETWORK,
    RECORD_PLAIN,                       // of the RECORD_ADD that follows, a file by URLs alone: length of pieces, of the file; name, path, then
                                        // the hash that stands for one and the URLs, each with a newline
    RECORD_DATAGRAMS,                   // 1: they pass
    RECORD_ASK,                         // a question to the DHT: kind, family and RECORD_ASK_…, port, seq, cas, op that came back, err;
                                        // target, key and signature, value, salt
    RECORD_KNOWN,                       // a node of the DHT; addr
    RECORD_KINDS,
};

// Flags of RECORD_ADD.
enum { RECORD_TRUST = 1, RECORD_CHECK = 2, RECORD_CHECK_ONLY = 4, RECORD_SEQUENTIAL = 8, RECORD_RESERVE = 16, RECORD_RANDOM = 32,
       RECORD_SUPER = 64, RECORD_KEEP = 128, RECORD_STRICT = 256 };

// Flags of RECORD_ASK; below them the family, << 8, and the kind.
enum { RECORD_ASK_IMPLIED = 1 << 16, RECORD_ASK_SEED = 1 << 17, RECORD_ASK_SCRAPE = 1 << 18, RECORD_ASK_MUTABLE = 1 << 19, RECORD_ASK_CAS = 1 << 20 };

struct record {
    enum record_kind kind;
    uint64_t now;                       // ns, the node's clock
    uint64_t num[RECORD_NUMS];
    struct addr addr;                   // family ADDR_NONE: none
    struct slice slice[RECORD_SLICES_MAX];      // borrowed
};

// Bytes that record_write will take.
size_t record_size(const struct record *r);
// Appends a frame; w->ok is false without room.
void record_write(struct wr *w, const struct record *r);
// Takes the next frame from r; slices point into it. ERR_SYNTAX: it is cut or no frame.
MUST_USE enum err record_read(struct rd *r, struct record *out);
// Whether as many bytes are left as the next frame has by its own word: if not, the recording was cut off there.
bool record_is_whole(struct rd r);
const char *record_name(enum record_kind kind);
