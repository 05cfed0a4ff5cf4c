// The command line, read: what a command was given.
#pragma once
#include <stdio.h>

#include "app/commands.h"
#include "app/talk.h"

enum progress_mode { PROGRESS_AUTO, PROGRESS_BLOCK, PROGRESS_LINE, PROGRESS_LINES, PROGRESS_NONE };

// Arguments of an option that may be given more than once, in order; they point into argv.
struct texts {
    const char **items;
    uint32_t n;
};

struct options {
    enum command command;
    struct texts args;
    const char *record, *output, *torrent, *comment, *select, *first, *last, *listen, *state, *whitelist, *save_torrent, *name, *checksum;
    const char *key, *salt, *item_seq;
    struct texts trackers, web_seeds, peers, dht_routers, similar, collections;
    bool v1, v2, hybrid, is_private, date, force;
    bool seed, super_seed, sequential, preallocate, check, sha256, metrics;
    bool no_port_map;
    bool no_dht, no_lsd, no_utp, no_tcp, json, quiet, no_color, help, version;
    uint64_t piece_len, down_bps, up_bps, down_each_bps, up_each_bps, ratio_pm;
    nsec timeout, interval, keep, seed_time, seed_idle;
    uint32_t port, http_port, udp_port, slots, threads, max_downloads, max_seeds;
    uint32_t verbose;
    uint32_t progress;                  // enum progress_mode
    const char *encryption_text, *interface, *proxy, *blocklist;
    uint32_t encryption;                // enum node_encryption
};

enum { OPTIONS_WHY_MAX = 320 };

// Reads argv. On failure `why` says what is wrong and `hint` what to do next ("" if nothing fits). What out's lists
// hold is freed by options_done, which is needed after a failure, too. ERR_SYNTAX, ERR_RANGE, ERR_NOMEM.
MUST_USE enum err options_parse(struct options *out, int argc, char **argv, char why[OPTIONS_WHY_MAX], char hint[OPTIONS_WHY_MAX]);
void options_done(struct options *o);

// The part of it that looks at the whole: whether values are of use and go together.
MUST_USE enum err options_check(const struct options *o, char why[OPTIONS_WHY_MAX], char hint[OPTIONS_WHY_MAX]);
// http, https, ftp or ftps, well-formed.
bool options_is_url(const char *text);

// Prints the help of a command, or of all for CMD_NONE: synopsis, five examples, flags.
void options_help(FILE *to, enum command c);
// Prints what the exit codes mean.
void options_help_exit(FILE *to);
// The man page kith(1), in mdoc.
void options_man(FILE *to);
