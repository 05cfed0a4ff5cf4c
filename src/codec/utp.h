// uTP packets. BEP 29; the extension with the reason of a close is libtorrent's.
#pragma once
#include "base/bytes.h"

enum utp_type { UTP_DATA = 0, UTP_FIN = 1, UTP_STATE = 2, UTP_RESET = 3, UTP_SYN = 4 };

enum {
    UTP_HEADER_LEN = 20,
    UTP_SACK_MAX = 252,                 // bytes of a bit mask: the greatest multiple of 4 that its length can say
    UTP_PAD_MAX = 257,                  // bytes of padding: an extension nobody knows, of up to 255 bytes
    UTP_EXTENSIONS_MAX = 16,            // in one packet; a named limit: BEP 29 has none
};

//  0       4       8               16              24              32
//  +-------+-------+---------------+---------------+---------------+
//  | type  | ver   | extension     | connection_id                 |
//  +-------+-------+---------------+---------------+---------------+
//  | timestamp_microseconds                                        |
//  +---------------+---------------+---------------+---------------+
//  | timestamp_difference_microseconds                             |
//  +---------------+---------------+---------------+---------------+
//  | wnd_size                                                      |
//  +---------------+---------------+---------------+---------------+
//  | seq_nr                        | ack_nr                        |
//  +---------------+---------------+---------------+---------------+
struct utp_packet {
    enum utp_type type;
    uint16_t conn_id, seq, ack;
    uint32_t timestamp_us, timestamp_diff_us, window;
    struct slice sack;                  // bit i (the lowest of a byte first) says that ack + 2 + i has arrived; empty: none
    bool has_reason;
    uint16_t reason;                    // libtorrent's number for why it closes
    struct slice payload;               // borrowed from the input; not written by utp_packet_write
};

// ERR_PROTOCOL: not a uTP packet of version 1: too short, another type, extensions that do not fit. Unknown extensions are
// skipped; a bit mask may have any length.
MUST_USE enum err utp_packet_parse(struct utp_packet *out, struct slice data);
// Header and extensions. pad: bytes of padding to add as an extension that receivers skip: 0, or 2 … UTP_PAD_MAX.
// sack.n should be a multiple of 4 (BEP 29), at most UTP_SACK_MAX.
void utp_packet_write(struct wr *w, const struct utp_packet *p, uint32_t pad);
