// The help texts and the man page, made from the tables of commands.h and option_table.h.
#include "app/option_table.h"
#include "app/options.h"

enum { EXAMPLES_N = 5 };

static const char *const examples[COMMANDS_N][EXAMPLES_N][2] = {
    [CMD_NONE] = {
        {"kith share ~/photos --tracker http://tracker.example/announce", "seed a directory, print its magnet link"},
        {"kith get debian.torrent -o ~/iso", "fetch into ~/iso, then end"},
        {"kith create film.mkv -o film.torrent", "only make the torrent file"},
        {"kith verify debian.torrent ~/iso", "is everything as it should be?"},
        {"kith tracker --http 6969 --udp 6969", "let others find each other"},
    },
    [CMD_GET] = {
        {"kith get debian.torrent -o ~/iso", "fetch into ~/iso, then end"},
        {"kith get a.torrent b.torrent c.torrent -o ~/iso --ratio 1", "several, five at a time; give back what was taken"},
        {"kith get album.torrent -o . --select '1,3-5' --first 4", "only some files, one of them first; `kith show` has the numbers"},
        {"kith get https://a.example/f.iso https://b.example/f.iso", "a file from two mirrors at once; again: goes on"},
        {"kith get 'magnet:?xt=urn:btih:…' -o . --timeout 2m", "by its link; give up after 2 minutes alone"},
    },
    [CMD_SHARE] = {
        {"kith share film.mkv", "makes film.mkv.torrent, seeds, prints the magnet link"},
        {"kith share ~/photos -t http://tracker.example/announce", "with a tracker, so that others find you"},
        {"kith share ~/photos ~/music --up 80Mbit --seed-time 2d", "several, leave some of the uplink to others"},
        {"kith share ~/iso --torrent debian.torrent", "seed by a torrent file that exists"},
        {"kith share new.iso --super-seed", "you are the only one who has it: each piece goes out once"},
    },
    [CMD_CREATE] = {
        {"kith create film.mkv -o film.torrent", "v1, piece length by size"},
        {"kith create photos -o photos.torrent --hybrid", "v1 and v2 in one"},
        {"kith create photos -o p.torrent -t http://a.example/announce -t udp://b.example:6969", "two tiers of trackers"},
        {"kith create iso -o iso.torrent -w https://mirror.example/", "with a web seed"},
        {"kith create data -o d.torrent --piece-length 1M --private", "pieces of 1 MiB, peers only by the tracker"},
    },
    [CMD_SHOW] = {
        {"kith show debian.torrent", "name, hashes, files, trackers, magnet link"},
        {"kith show debian.torrent --json", "the same as one JSON object"},
        {"kith show debian.torrent --json | jq -r .magnet", "only the magnet link"},
        {"kith show debian.torrent --json | jq -r '.files[].path'", "only the names"},
        {"kith show 'magnet:?xt=urn:btih:…'", "what a link says by itself"},
    },
    [CMD_VERIFY] = {
        {"kith verify debian.torrent ~/iso", "hash all, report each file that differs"},
        {"kith verify debian.torrent ~/iso -v", "report the good files, too"},
        {"kith verify debian.torrent ~/iso --json", "for scripts"},
        {"kith verify debian.torrent ~/iso -q && echo whole", "only the exit status: 0 or 6"},
        {"kith verify debian.torrent ~/iso --threads 1", "leave the other cores alone"},
    },
    [CMD_TRACKER] = {
        {"kith tracker", "HTTP and UDP on port 6969"},
        {"kith tracker --http 8080", "HTTP only"},
        {"kith tracker --listen 192.0.2.1 --udp 6969", "UDP only, on one address"},
        {"kith tracker --whitelist hashes.txt", "only these; kill -HUP reads the file again"},
        {"kith tracker --interval 10m --json", "statistics as JSON lines"},
    },
    [CMD_LAB] = {
        {"kith lab list", "what there is to see"},
        {"kith lab run flash.scn", "run a scenario of your own"},
        {"kith lab run flash.scn --expand", "every node of it as a line of its own"},
        {"kith lab trace flash.scn --tsv", "what happened, record by record"},
        {"kith lab help", "all of its commands and options"},
    },
    [CMD_DHT] = {
        {"kith dht", "a node on UDP port 51413, with a line of statistics now and then"},
        {"kith dht peers 08ada5a7a6183aae1e09d831df6748d566095a10", "who has this torrent? One address a line"},
        {"kith dht put 'hello' --key my.key", "store a text that only this key can change; prints the public key"},
        {"kith dht get 77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548", "read it, anywhere"},
        {"kith dht publish new.torrent --key my.key --keep 1h", "what the key means now; prints the link that `kith get` follows (BEP 46)"},
    },
    [CMD_HELP] = {
        {"kith help get", "explain `kith get`"},
        {"kith get --help", "the same"},
        {"kith help", "list the commands"},
        {"kith help tracker", "how to run a tracker"},
        {"kith --version", "the version"},
    },
    [CMD_VERSION] = {
        {"kith version", "the version"},
        {"kith --version", "the same"},
        {"kith version --json", "as JSON"},
        {"kith version --json | jq -r .version", "only the number"},
        {"kith help", "what else there is"},
    },
};

// What the line of a command does not say.
static const char *const notes[COMMANDS_N] = {
    [CMD_GET] = "A URL of a torrent file is followed: what it describes is fetched. For the torrent file alone, use another program\n"
                "(`curl -O URL`). Any other URL is a file; several URLs are copies of one file.\n"
                "A Metalink, FILE.meta4 or its URL, names files with their mirrors and hashes; all of them are fetched, one after the other.\n"
                "A link of a key (magnet:?xs=urn:btpk:...) is asked of the DHT each time: it means the torrent published last.\n"
                "A torrent file that names similar torrents (BEP 38) gets what those have brought by a copy, if nothing of it is there yet.",
};

static const struct {
    int status;
    const char *meaning;
} statuses[] = {
    {0, "done"}, {1, "another error"}, {2, "wrong usage"}, {3, "not found"}, {4, "not allowed"}, {5, "network, temporary"},
    {6, "content or torrent file is damaged"}, {7, "stopped before complete"}, {8, "disk full or failing"},
    {10, "already there"}, {12, "nobody answered within --timeout"}, {130, "second SIGINT (143: SIGTERM) during clean-up"},
};

static bool has(const struct option_row *r, enum command c)
{
    return c == CMD_LAB ? false : c != CMD_NONE && c != CMD_HELP && c != CMD_VERSION ? (r->commands >> c & 1) != 0 : r->commands == IN_ALL;
}

static void print_examples(FILE *to, enum command c)
{
    fputs("\nexamples:\n", to);
    for (unsigned i = 0; i < EXAMPLES_N; i++)
        if (examples[c][i][0] != NULL)
            fprintf(to, "  %s\n      %s\n", examples[c][i][0], examples[c][i][1]);
}

static void print_options(FILE *to, enum command c)
{
    size_t n = 0;
    const struct option_row *rows = options_table(&n);
    fputs("\noptions:\n", to);
    for (size_t i = 0; i < n; i++) {
        const struct option_row *r = &rows[i];
        if (!has(r, c))
            continue;
        char left[64];
        const char letter[5] = {'-', r->letter, ',', ' ', 0};
        snprintf(left, sizeof left, "%s--%s%s%s", r->letter != 0 ? letter : "    ", r->name, r->arg != NULL ? " " : "",
            r->arg != NULL ? r->arg : "");
        fprintf(to, "  %-26s %s\n", left, r->help);
    }
}

void options_help(FILE *to, enum command c)
{
    if (c == CMD_NONE) {
        fputs("usage: kith COMMAND [argument...] [option...]\n\ncommands:\n", to);
        for (unsigned i = CMD_NONE + 1; i < COMMANDS_N; i++)
            fprintf(to, "  %-9s %-18s %s\n", command_name((enum command)i), command_args((enum command)i), command_line((enum command)i));
        print_examples(to, c);
        fputs("\n`kith help COMMAND` lists the options of a command, `kith help exit` the exit codes.\n", to);
        return;
    }
    fprintf(to, "usage: kith %s %s%s[option...]\n\n%s\n", command_name(c), command_args(c), *command_args(c) != 0 ? " " : "",
        command_line(c));
    if (notes[c] != NULL)
        fprintf(to, "\n%s\n", notes[c]);
    print_examples(to, c);
    print_options(to, c);
}

void options_help_exit(FILE *to)
{
    fputs("exit codes:\n", to);
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        fprintf(to, "  %3d  %s\n", statuses[i].status, statuses[i].meaning);
}

// Text for mdoc: a backslash is doubled, a leading point or quote is hidden, a hyphen stays one.
static void print_escaped(FILE *to, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", to);
    for (; *text != 0; text++) {
        if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '-')
            fputs("\\-", to);
        else
            fputc(*text, to);
    }
}

static void man_option(FILE *to, const struct option_row *r)
{
    fputs(".It ", to);
    if (r->letter != 0)
        fprintf(to, "Fl %c , ", r->letter);
    fprintf(to, "Fl \\-%s", r->name);
    if (r->arg != NULL)
        fprintf(to, " Ar %s", r->arg);
    fputc('\n', to);
    print_escaped(to, r->help);
    fputc('\n', to);
}

static void man_command(FILE *to, enum command c)
{
    fprintf(to, ".Ss kith %s%s%s\n", command_name(c), *command_args(c) != 0 ? " " : "", command_args(c));
    print_escaped(to, command_line(c));
    fputs(".\n", to);
    if (notes[c] != NULL) {
        print_escaped(to, notes[c]);
        fputc('\n', to);
    }
    size_t n = 0, any = 0;
    const struct option_row *rows = options_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (!has(&rows[i], c) || rows[i].commands == IN_ALL)
            continue;
        if (any++ == 0)                 // a list without items is none
            fputs(".Bl -tag -width Ds\n", to);
        man_option(to, &rows[i]);
    }
    if (any != 0)
        fputs(".El\n", to);
    fputs(".Pp\nExamples:\n.Bd -literal -offset indent\n", to);
    for (unsigned i = 0; i < EXAMPLES_N; i++) {
        print_escaped(to, examples[c][i][0]);
        fputc('\n', to);
    }
    fputs(".Ed\n", to);
}

void options_man(FILE *to)
{
    fputs(".\\\" Made by `kith help man` from the table of options: do not edit.\n"
          ".Dd November 24, 2026\n.Dt KITH 1\n.Os\n.Sh NAME\n.Nm kith\n.Nd share and fetch files with BitTorrent\n"
          ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar argument ...\n.Op Ar option ...\n.Sh DESCRIPTION\n"
          "Standard output carries data, standard error everything else.\n"
          "Options may stand anywhere; after\n.Fl \\-\nonly arguments follow.\n", to);
    fputs(".Sh COMMANDS\n", to);
    for (unsigned c = CMD_NONE + 1; c < COMMANDS_N; c++)
        if (c != CMD_HELP && c != CMD_VERSION && c != CMD_SHOW)
            man_command(to, (enum command)c);
    fprintf(to, ".Ss kith %s %s\n", command_name(CMD_SHOW), command_args(CMD_SHOW));
    print_escaped(to, command_line(CMD_SHOW));
    fputs(".\n.Sh COMMON OPTIONS\n.Bl -tag -width Ds\n", to);
    size_t n = 0;
    const struct option_row *rows = options_table(&n);
    for (size_t i = 0; i < n; i++)
        if (rows[i].commands == IN_ALL)
            man_option(to, &rows[i]);
    fputs(".El\n.Sh EXIT STATUS\n.Bl -tag -width Ds\n", to);
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        fprintf(to, ".It %d\n%s\n", statuses[i].status, statuses[i].meaning);
    fputs(".El\n.Sh FILES\n.Bl -tag -width Ds\n.It Pa $XDG_STATE_HOME/kith/state.db\nresume data of downloads (SQLite)\n.El\n", to);
}
