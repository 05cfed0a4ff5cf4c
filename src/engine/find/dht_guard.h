// How much a DHT node answers to whom: bytes per second for each address and for all strangers together.
//
// A datagram's source may be forged, and an answer is up to ten times as long as its question. So an address that has
// not proved itself (answered a question of ours, or brought a token that only it can have) gets
//   - answers of at most GUARD_STRANGER_REPLY bytes but for items, which do not fit into less,
//   - GUARD_STRANGER_BPS after a burst of GUARD_STRANGER_BURST,
//   - and all of them together GUARD_ALL_BPS: a victim hears no more than 2 KiB/s of us, whoever asks in its name.
// A flood of questions with forged addresses, each of them new, would leave nothing of that for others. So when half of that burst is
// used, strangers are asked back first (dht_proof.h), and who echoes that is real: they have a budget of the same size for themselves,
// which made-up addresses cannot touch (those of live nodes can, if their ids are known, too). When half of the burst of that one is
// used, too, who has had an answer that is not paid yet waits: a few
// hundred addresses that ask without end do not shut out those that ask once. Who is never asked back (read-only nodes) is
// answered until three quarters are used, so that they cannot use up what asking back needs.
// A proved address has 16 times as much. Who is known by its answers has that as long as all of those together keep to a budget of the same
// size, too: their addresses and ids are no secret, and questions in their names would be answered by several times as much.
// Local addresses are exempt: nobody forges them from outside.
#pragma once
#include "base/addr.h"
#include "base/env.h"

enum {
    GUARD_SLOTS = 512,                  // addresses told apart at a time
    GUARD_STRANGER_BPS = 2048,
    GUARD_STRANGER_BURST = 8192,        // bytes
    GUARD_PROVED_TIMES = 16,
    GUARD_ALL_BPS = 256 * 1024,
    GUARD_ALL_BURST = 512 * 1024,
    GUARD_ALL_CALM = 256 * 1024,
    GUARD_ALL_BLIND = 384 * 1024,       // for who is not asked back
    GUARD_ASK_BYTES = 80,               // at most, of asking back
    GUARD_STRANGER_REPLY = 512,
    GUARD_PROVED_REPLY = 1024,          // fits every path unfragmented
};

enum guard_class {
    GUARD_STRANGER,
    GUARD_REAL,                         // has echoed what was sent there
    GUARD_KNOWN,                        // answers us
    GUARD_PROVED,                       // brings a token: each of its questions is its own
};

enum guard_verdict { GUARD_SILENCE, GUARD_ANSWER, GUARD_ASK };

struct guard_slot {
    uint64_t key;
    nsec paid_at;                       // a virtual clock: when what was sent has been paid for
};

struct guard {
    const struct mem *mem;
    uint64_t key[2];
    struct guard_slot *slots;           // made at the first question
    nsec paid_at[GUARD_PROVED];         // of all of a class
};

void guard_init(struct guard *g, const struct mem *mem, const uint64_t key[2]);
void guard_done(struct guard *g);
// Whether an answer may go to this address now. can_ask: it could be asked back; if not, GUARD_ASK is never said.
enum guard_verdict guard_judge(struct guard *g, nsec now, const struct addr *to, enum guard_class class, bool can_ask);
// And how many bytes it had, of whatever.
void guard_charge(struct guard *g, nsec now, const struct addr *to, enum guard_class class, size_t bytes);
