// The handshake of Message Stream Encryption (MSE/PE), both roles, for one stream. The protocol has no BEP; it is described in
// the wiki of Vuze. It hides what a stream is from those who only look at it; it proves nothing about the peer.
//
//   A -> B  Ya, PadA
//   B -> A  Yb, PadB
//   A -> B  HASH('req1', S), HASH('req2', SKEY) ^ HASH('req3', S), RC4(VC, provide, len(PadC), PadC, len(IA)), RC4(IA)
//   B -> A  RC4(VC, select, len(PadD), PadD), then both as selected
//
// Bytes go in through mse_room and mse_input, out through mse_tx. Two steps are the owner's: mse_exchange (it costs modular
// powers, so the owner says when) and mse_skey (B learns a hash of the info-hash and the owner looks it up).
#pragma once
#include "base/rng.h"
#include "crypto/dh768.h"
#include "crypto/hash.h"
#include "crypto/rc4.h"

enum {
    MSE_PLAIN = 1, MSE_RC4 = 2,         // bits of provide and select
    MSE_PAD_MAX = 512,
    MSE_VC_LEN = 8,
    MSE_DISCARD = 1024,                 // first bytes of each key stream
    MSE_IA_MAX = 68,                    // that we send: a BitTorrent handshake
    MSE_RX_LEN = 1024,
    MSE_TX_LEN = 2 * DH768_LEN + MSE_PAD_MAX + 2 * SHA1_LEN + 16 + MSE_IA_MAX,
    MSE_SKEY_LEN = 20,
};

enum mse_state {
    MSE_KEY,                            // waits for the other's Y
    MSE_EXCHANGE,                       // has it: the owner calls mse_exchange
    MSE_SYNC,                           // looks for the mark behind the padding
    MSE_HASH,                           // B: waits for the hash of SKEY
    MSE_SKEY,                           // B: has it in `wanted`: the owner calls mse_skey
    MSE_HEAD, MSE_PAD, MSE_IA_LEN,
    MSE_DONE,                           // `selected`, and mse_rest for what came behind
    MSE_FAILED,
};

struct mse_config {
    bool initiator;
    uint8_t allowed;                    // MSE_PLAIN | MSE_RC4: offered by A; accepted by B, which takes MSE_PLAIN if it can
    const uint8_t *private_key;         // DH768_PRIVATE_LEN random bytes
    struct rng pads;                    // lengths and bytes of the padding
    const uint8_t *skey;                // A: the info-hash, MSE_SKEY_LEN bytes
    struct slice ia;                    // A: the first bytes of the stream, at most MSE_IA_MAX, sent with the handshake
};

// Plain data.
struct mse {
    enum mse_state state;
    bool initiator;
    uint8_t allowed, selected;
    uint8_t private_key[DH768_PRIVATE_LEN], secret[DH768_LEN];
    uint8_t skey[MSE_SKEY_LEN], wanted[SHA1_LEN];   // wanted: HASH('req2', SKEY)
    uint8_t ia[MSE_IA_MAX];
    uint32_t ia_n;
    struct rng pads;
    uint8_t mark[SHA1_LEN];             // what MSE_SYNC looks for
    uint32_t mark_n, skip;              // skip: bytes of PadC or PadD still to come
    uint32_t ia_left;                   // B, MSE_DONE: so many first bytes of the stream are RC4 whatever was selected
    struct rc4 rx, tx;
    uint32_t rx_n, tx_n;
    uint8_t rx_buf[MSE_RX_LEN], tx_buf[MSE_TX_LEN];
};

// Composes A's first message. ERR_NOMEM.
MUST_USE enum err mse_init(struct mse *m, const struct mse_config *cfg);
// Where the next bytes belong; empty unless the state waits for bytes.
struct span mse_room(struct mse *m);
void mse_input(struct mse *m, size_t n);
// In MSE_EXCHANGE: computes the secret, composes what follows. A degenerate key ends in MSE_FAILED.
void mse_exchange(struct mse *m);
// In MSE_SKEY: the info-hash with HASH('req2', info-hash) = m->wanted; NULL: none, which ends in MSE_FAILED.
void mse_skey(struct mse *m, const uint8_t *skey);
// Bytes to send, borrowed until mse_tx_sent.
static inline struct slice mse_tx(const struct mse *m) { return slice_of(m->tx_buf, m->tx_n); }
static inline void mse_tx_sent(struct mse *m) { m->tx_n = 0; }
// In MSE_DONE: what arrived behind the handshake, decrypted.
static inline struct slice mse_rest(const struct mse *m) { return slice_of(m->rx_buf, m->rx_n); }
// Decrypts bytes of the stream in place, in order, as was selected. mse_rest is decrypted already.
void mse_decrypt(struct mse *m, struct span data);
// HASH('req2', skey): by which B finds the torrent.
void mse_skey_hash(const uint8_t skey[MSE_SKEY_LEN], uint8_t out[SHA1_LEN]);
