// How far it is: a block that is redrawn on a terminal, a line now and then elsewhere, or JSON events.
#pragma once
#include "app/options.h"

enum {
    PROGRESS_TEXT_MAX = 1024,           // bytes of a block or line and its NUL
    PROGRESS_BAR_MAX = 28,              // columns of the bar
    METER_MARKS = 6,                    // a window of five seconds
    PROGRESS_LINES_S = 10,              // seconds between two lines
    PROGRESS_DRAW_MS = 250,             // between two drawings of a block
    PROGRESS_ROWS_MAX = 64,             // torrents in a block of several
    PROGRESS_NAME = 20,                 // columns of a name in it
};

// What is shown; all absolute, bytes and bytes/s.
struct progress_view {
    const char *verb;                   // "get", "check", "hash", "seed"
    const char *id;                     // hex of the info-hash, "" if there is none yet
    const char *name;
    uint64_t done, size;
    uint64_t down_bps, up_bps;          // down_bps: also of hashing
    uint64_t up_bytes;
    uint32_t peers, seeds;
    uint32_t known;                     // peers heard of
    uint32_t web;                       // transfers from servers
    bool waits;                         // for the disk
    bool unsized;                       // size is not known yet
    bool net;                           // peers, seeds and up_bps mean something
};

struct progress {
    struct talk *talk;
    enum progress_mode mode;            // never PROGRESS_AUTO
    nsec next;
};

// Decides AUTO: none when quiet, a block on a terminal that can do it, lines otherwise.
void progress_init(struct progress *p, struct talk *talk, enum progress_mode mode);
// Shows what n views tell, n not 0, if it is time, or at once with `at_once`: several as a line each.
void progress_show(struct progress *p, nsec now, const struct progress_view *v, uint32_t n, bool at_once);
// Takes a block off the screen, so that something else can follow.
void progress_end(struct progress *p);

// A rate over the last seconds, and from the first byte on.
struct meter {
    struct { nsec at; uint64_t bytes; } marks[METER_MARKS];
    uint32_t n;                         // marks ever made
};

// Once a second or so: so many bytes have come in all.
void meter_mark(struct meter *m, nsec now, uint64_t bytes);
uint64_t meter_bps(const struct meter *m);

// Seconds until done at this rate, UINT64_MAX: unknown; 0: done.
uint64_t progress_eta(const struct progress_view *v);
// Two lines for a terminal of `width` columns, without a line feed at the end. utf8: with block characters.
char *progress_block(const struct progress_view *v, unsigned width, bool utf8, char out[PROGRESS_TEXT_MAX]);
// One of several: a line with its name.
char *progress_row(const struct progress_view *v, unsigned width, bool utf8, char out[PROGRESS_TEXT_MAX]);
// One line for a log: "2026-11-22T16:02:10Z get b41adf89 64% 404.1MiB/631.0MiB dl=41.3MiB/s …".
char *progress_line(const struct progress_view *v, int64_t unix_s, char out[PROGRESS_TEXT_MAX]);
// The event "progress".
json_t *progress_json(const struct progress_view *v);
