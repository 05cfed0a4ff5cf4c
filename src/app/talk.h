// What a command says: data on stdout, talk on stderr, events as JSON lines, errors with a stable code.
#pragma once
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/env.h"

// The stable codes of errors and the exit status of each.
#define FAILS(X) \
    X(FAIL_INTERNAL, 1, "internal") \
    X(FAIL_USAGE, 2, "usage") \
    X(FAIL_NOT_FOUND, 3, "not_found") \
    X(FAIL_PERMISSION, 4, "permission") \
    X(FAIL_NETWORK, 5, "network") \
    X(FAIL_DNS, 5, "dns") \
    X(FAIL_TRACKER, 5, "tracker") \
    X(FAIL_TIMEOUT, 5, "timeout") \
    X(FAIL_HASH_MISMATCH, 6, "hash_mismatch") \
    X(FAIL_BAD_TORRENT, 6, "bad_torrent") \
    X(FAIL_INTERRUPTED, 7, "interrupted") \
    X(FAIL_STOPPED, 7, "stopped") \
    X(FAIL_DISK_FULL, 8, "disk_full") \
    X(FAIL_IO, 8, "io") \
    X(FAIL_DUPLICATE, 10, "duplicate") \
    X(FAIL_NO_PEERS, 12, "no_peers") \
    X(FAIL_NO_ANSWER, 12, "no_answer")

#define FAIL_ID(id, status, code) id,
enum fail { FAILS(FAIL_ID) FAIL_N };
#undef FAIL_ID

enum {
    TALK_LINE_MAX = 4096,               // bytes of one message
    TALK_NAME_MAX = 1024,               // bytes of a name made fit to print
};

// One for a process. Only `lock` keeps threads apart: the log may come from any.
struct talk {
    FILE *out, *err;
    const char *command;                // "get", for messages; NULL: none
    const char *about;                  // id of the torrent that errors are of; NULL: of none
    bool json, quiet, color, utf8;
    bool hint_apart;                    // hints on a line of their own: for people; programs get one line
    unsigned verbose;
    unsigned drawn;                     // lines of a progress block on the screen, to be erased before talk
    pthread_mutex_t lock;
};

void talk_init(struct talk *t, FILE *out, FILE *err);

// Exit status of a code, and its name.
int fail_status(enum fail f);
const char *fail_code(enum fail f);
// The code that fits an errno of a file operation, and one of enum err.
enum fail fail_of_errno(int e);
enum fail fail_of_err(enum err e);

// Says what went wrong and why (fmt), the code, and what to do next (hint, may be NULL); with --json also as an event.
// Returns the exit status.
int talk_fail(struct talk *t, enum fail f, const char *hint, const char *fmt, ...) FORMAT(4, 5);
void talk_warn(struct talk *t, const char *fmt, ...) FORMAT(2, 3);
// Talk on stderr; silent with -q.
void talk_note(struct talk *t, const char *fmt, ...) FORMAT(2, 3);
// Talk on stderr only with -v; from any thread.
void talk_debug(struct talk *t, const char *fmt, ...) FORMAT(2, 3);
// What a host logs: only with -v, and what engines say in passing only with -vv.
void talk_log(struct talk *t, enum log_level level, const char *text);
// A line of data on stdout.
void talk_data(struct talk *t, const char *fmt, ...) FORMAT(2, 3);
// The same: a label and its text from outside, made harmless; nothing if that is empty. The digest in hexadecimal digits.
void talk_field(struct talk *t, const char *label, struct slice text);
void talk_field_hash(struct talk *t, const char *label, struct slice digest);
// Takes back a progress block that is on the screen. The caller holds no lock.
void talk_erase(struct talk *t);

// A JSON event of a type, with v and ts (Unix ms); NULL without memory, which the functions below accept.
json_t *talk_event(const char *type);
// Prints an event as one line on stdout if --json is set, and lets go of it.
void talk_emit(struct talk *t, json_t *event);
// Bytes from outside as valid UTF-8 without control characters, cut to TALK_NAME_MAX. Returns out.
char *talk_clean(struct slice s, char out[TALK_NAME_MAX]);
// The same as a JSON string.
json_t *talk_json_text(struct slice s);
// Lower-case hex as a JSON string.
json_t *talk_json_hex(struct slice s);
json_t *talk_json_count(uint64_t v);

// Unix time, ms.
int64_t talk_now_ms(void);
