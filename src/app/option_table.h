// The options of kith: one table, from which parsing, --help and the man page are made.
#pragma once
#include <stddef.h>

#include "app/commands.h"

// type, long name, letter or 0, argument or NULL, field, commands, help
#define OPTIONS(X) \
    X(TEXT, "output", 'o', "PATH", output, IN_GET | IN_MAKE, "directory of the files (get); the torrent file to write") \
    X(FLAG, "v1", 0, NULL, v1, IN_MAKE, "BitTorrent v1 only: the default of `share`") \
    X(FLAG, "v2", 0, NULL, v2, IN_MAKE, "BitTorrent v2 only (BEP 52)") \
    X(FLAG, "hybrid", 0, NULL, hybrid, IN_MAKE, "both in one; older programs may show its pad files") \
    X(SIZE, "piece-length", 'l', "N", piece_len, IN_MAKE, "bytes of a piece, a power of two; default: by size") \
    X(LIST, "tracker", 't', "URL", trackers, IN_MAKE | IN_GET, "announce here, too; again: a lower tier") \
    X(LIST, "web-seed", 'w', "URL", web_seeds, IN_MAKE | IN_GET, "the files are also at this URL") \
    X(LIST, "similar", 0, "HASH", similar, IN_MAKE, "a torrent that has files of this one (BEP 38)") \
    X(LIST, "collection", 0, "NAME", collections, IN_MAKE, "torrents of one collection may have files in common (BEP 38): org.example.series") \
    X(FLAG, "private", 0, NULL, is_private, IN_MAKE, "peers come only from the trackers (BEP 27)") \
    X(TEXT, "comment", 'c', "TEXT", comment, IN_MAKE, "a comment in the torrent file") \
    X(FLAG, "date", 0, NULL, date, IN_MAKE, "write the creation date: not the same file twice") \
    X(TEXT, "save-torrent", 0, "FILE", save_torrent, IN_GET, "of a magnet link: write its torrent file here, too") \
    X(FLAG, "force", 'f', NULL, force, IN_MAKE | IN_GET, "overwrite a torrent file that exists; get URL: the file") \
    X(TEXT, "name", 0, "NAME", name, IN_GET, "of a URL: name of the file, instead of what the server says") \
    X(TEXT, "checksum", 0, "ALGO=HEX", checksum, IN_GET, "of a URL: sha-256 or sha-1 that the file must have") \
    X(COUNT, "threads", 0, "N", threads, IN_MAKE | IN_VERIFY, "threads that hash; default: one for each core") \
    X(TEXT, "torrent", 0, "FILE", torrent, IN_SHARE, "seed by this torrent file instead of making one") \
    X(LIST, "peer", 'p', "HOST:PORT", peers, IN_PEER, "connect to this peer") \
    X(TEXT, "select", 0, "LIST", select, IN_GET, "only these files: numbers of `kith show` or globs, `1,3-5,*.txt`") \
    X(TEXT, "first", 0, "LIST", first, IN_GET, "these files before the others; a LIST as for --select") \
    X(TEXT, "last", 0, "LIST", last, IN_GET, "these files after the others") \
    X(FLAG, "seed", 0, NULL, seed, IN_GET, "go on seeding when complete") \
    X(RATIO, "ratio", 0, "R", ratio_pm, IN_PEER, "seed until R times the content was sent, all runs counted; as the next two: then end") \
    X(TIME, "seed-time", 0, "DUR", seed_time, IN_PEER, "seed for so long, all runs counted: 30m, 2h") \
    X(TIME, "seed-idle", 0, "DUR", seed_idle, IN_PEER, "seed until nobody has taken anything for so long") \
    X(FLAG, "super-seed", 0, NULL, super_seed, IN_SHARE, "the only seed: give each piece away once, until there is a second copy (BEP 16)") \
    X(COUNT, "max-downloads", 0, "N", max_downloads, IN_GET, "torrents fetched at a time, the others wait in order; default 5") \
    X(COUNT, "max-seeds", 0, "N", max_seeds, IN_PEER, "torrents seeded at a time; default 50") \
    X(FLAG, "sequential", 0, NULL, sequential, IN_GET, "fetch in order of the files; beside others that fetch, the rarest of the next few pieces") \
    X(FLAG, "preallocate", 0, NULL, preallocate, IN_GET, "take the room on the disk before fetching, not as data comes") \
    X(FLAG, "check", 0, NULL, check, IN_PEER, "hash what is on disk before starting") \
    X(FLAG, "sha256", 0, NULL, sha256, IN_GET, "print the SHA-256 of each file when complete") \
    X(PORT, "port", 'P', "N", port, IN_PEER | IN_DHT, "TCP and UDP port for peers and the DHT; default: 51413 or one of the next") \
    X(PORT, "http", 0, "PORT", http_port, IN_TRACKER, "serve HTTP announces here; default 6969") \
    X(PORT, "udp", 0, "PORT", udp_port, IN_TRACKER, "serve UDP announces here; default 6969") \
    X(TEXT, "whitelist", 0, "FILE", whitelist, IN_TRACKER, "only these info-hashes, one a line; SIGHUP reads it again") \
    X(TIME, "interval", 0, "S", interval, IN_TRACKER, "how often peers shall announce; default 30m") \
    X(FLAG, "metrics", 0, NULL, metrics, IN_TRACKER, "GET /metrics on the HTTP port: figures for Prometheus") \
    X(TEXT, "listen", 0, "ADDR", listen, IN_NET, "numeric address to listen on and connect from") \
    X(RATE, "down", 0, "RATE", down_bps, IN_PEER, "limit of receiving, all torrents together: 500K, 1.5M, 10MB/s, 80Mbit") \
    X(RATE, "up", 0, "RATE", up_bps, IN_PEER, "limit of sending, all torrents together") \
    X(RATE, "down-each", 0, "RATE", down_each_bps, IN_PEER, "limit of receiving of each torrent") \
    X(RATE, "up-each", 0, "RATE", up_each_bps, IN_PEER, "limit of sending of each torrent") \
    X(COUNT, "slots", 0, "N", slots, IN_PEER, "peers served at a time; default: follows the uplink") \
    X(FLAG, "no-dht", 0, NULL, no_dht, IN_PEER, "find no peers by the DHT") \
    X(LIST, "dht-router", 0, "HOST:PORT", dht_routers, IN_PEER | IN_DHT, "begin at this DHT node; default: well-known ones") \
    X(TEXT, "key", 0, "FILE", key, IN_DHT, "put a mutable item, signed with this secret key; made if it is not there") \
    X(TEXT, "salt", 0, "TEXT", salt, IN_DHT, "tells several items of one key apart") \
    X(TEXT, "item-seq", 0, "N", item_seq, IN_DHT, "number of this version of the item; default: one more than what is there") \
    X(TIME, "keep", 0, "DUR", keep, IN_DHT, "announce, put, publish: again each DUR until Ctrl-C; 15m for peers, 1h for items") \
    X(FLAG, "no-lsd", 0, NULL, no_lsd, IN_PEER, "find no peers in the local network (BEP 14)") \
    X(FLAG, "no-utp", 0, NULL, no_utp, IN_PEER, "reach peers by TCP only") \
    X(FLAG, "no-tcp", 0, NULL, no_tcp, IN_PEER, "reach peers by uTP only") \
    X(TEXT, "blocklist", 0, "FILE", blocklist, IN_PEER, "talk to nobody in it: P2P, DAT, CIDR or plain lines, also gzip") \
    X(TEXT, "interface", 0, "NAME", interface, IN_NET, "network device of all traffic, names too; while it is gone, none") \
    X(TEXT, "proxy", 0, "URL", proxy, IN_PEER, \
        "socks5://[user:password@]host[:port], port 1080 if none is said: for TCP, and UDP if it relays that; no way around it") \
    X(FLAG, "no-port-map", 0, NULL, no_port_map, IN_PEER, "do not ask the router to let peers in (PCP, NAT-PMP, UPnP)") \
    X(TEXT, "encryption", 0, "MODE", encryption_text, IN_PEER, "of connections (MSE): prefer (the default), require or off") \
    X(TEXT, "state", 0, "DIR", state, IN_PEER | IN_DHT, "where resume data and DHT nodes are kept; default: $XDG_STATE_HOME/kith") \
    X(TEXT, "record", 0, "FILE", record, IN_NET, "write what goes into the node, all bytes of it, for `kith lab replay`") \
    X(TIME, "timeout", 0, "DUR", timeout, IN_PEER | IN_DHT, "give up fetching after so long without a peer, data or disk: 30s, 5m") \
    X(MODE, "progress", 0, "MODE", progress, IN_ALL, "auto, block, line, lines or none") \
    X(FLAG, "json", 0, NULL, json, IN_ALL, "one JSON object a line on stdout") \
    X(FLAG, "no-color", 0, NULL, no_color, IN_ALL, "no colours; also by NO_COLOR or TERM=dumb") \
    X(MORE, "verbose", 'v', NULL, verbose, IN_ALL, "say more; -vv still more") \
    X(FLAG, "quiet", 'q', NULL, quiet, IN_ALL, "say nothing but warnings and errors") \
    X(FLAG, "help", 'h', NULL, help, IN_ALL, "explain the command") \
    X(FLAG, "version", 0, NULL, version, IN_ALL, "print the version")

enum option_type {
    OPTION_FLAG, OPTION_TEXT, OPTION_LIST, OPTION_SIZE, OPTION_RATE, OPTION_TIME, OPTION_PORT, OPTION_COUNT, OPTION_MORE, OPTION_MODE, OPTION_RATIO,
};

// One row of the table.
struct option_row {
    const char *name;
    const char *arg;                    // NULL: it takes none
    const char *help;
    size_t field;                       // offset in struct options
    unsigned commands;                  // bits 1 << enum command
    enum option_type type;
    char letter;                        // 0: it has only its name
};

// The whole table.
const struct option_row *options_table(size_t *out_n);
