// The commands of kith: one table, from which parsing, --help and the man page are made.
#pragma once

// id, name, arguments, one line
#define COMMANDS(X) \
    X(CMD_GET, "get", "FILE.torrent|FILE.meta4|MAGNET|URL...", "fetch what torrents, magnet links and Metalinks describe, or a file by its URLs") \
    X(CMD_SHARE, "share", "PATH...", "seed files or directories, making their torrents if need be") \
    X(CMD_CREATE, "create", "PATH", "make a torrent file, no network") \
    X(CMD_SHOW, "show", "FILE.torrent|MAGNET", "print what a torrent file or magnet link says") \
    X(CMD_VERIFY, "verify", "FILE.torrent DIR", "compare files with their torrent") \
    X(CMD_TRACKER, "tracker", "", "run a tracker, HTTP and UDP") \
    X(CMD_LAB, "lab", "EXPERIMENT | COMMAND", "thousands of nodes in a simulated internet") \
    X(CMD_DHT, "dht", "[VERB WORD]", "run a DHT node, or ask it: peers, scrape, announce, get, put, publish") \
    X(CMD_HELP, "help", "[COMMAND]", "explain a command") \
    X(CMD_VERSION, "version", "", "print the version")

#define COMMAND_ID(id, name, args, line) id,
enum command { CMD_NONE, COMMANDS(COMMAND_ID) COMMANDS_N };
#undef COMMAND_ID

// Sets of commands.
enum {
    IN_GET = 1 << CMD_GET,
    IN_SHARE = 1 << CMD_SHARE,
    IN_CREATE = 1 << CMD_CREATE,
    IN_SHOW = 1 << CMD_SHOW,
    IN_VERIFY = 1 << CMD_VERIFY,
    IN_TRACKER = 1 << CMD_TRACKER,
    IN_DHT = 1 << CMD_DHT,
    IN_MAKE = IN_CREATE | IN_SHARE,
    IN_PEER = IN_GET | IN_SHARE,
    IN_NET = IN_PEER | IN_TRACKER | IN_DHT,
    IN_ALL = 0x7fff,
};

// One command's name, arguments and line.
const char *command_name(enum command c);
const char *command_args(enum command c);
const char *command_line(enum command c);
