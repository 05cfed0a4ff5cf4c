// The command line's small parts: numbers with units, the table of options, selection, progress, JSON lines.
#include "test.h"

#include "app/fileio.h"
#include "app/option_table.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/select.h"
#include "base/units.h"

// ---- units

static uint64_t rate(const char *text)
{
    uint64_t v = 0;
    return units_parse_rate(text, &v) == ERR_OK ? v : UINT64_MAX;
}

// Without this a limit could be eight times or a twentieth off.
static void rates_are_read_in_their_unit(void **state)
{
    UNUSED_STATE(state);
    assert_int_equal(rate("500K"), 512000);
    assert_int_equal(rate("1.5M"), 1572864);
    assert_int_equal(rate("10MB/s"), 10000000);
    assert_int_equal(rate("80Mbit"), 10000000);
    assert_int_equal(rate("80mbit/s"), 10000000);
    assert_int_equal(rate("8MiB"), 8388608);
    assert_int_equal(rate("8 MiB/s"), 8388608);
    assert_int_equal(rate("1234"), 1234);
    assert_int_equal(rate("1234B"), 1234);
    assert_int_equal(rate("9bit"), 2);
    assert_int_equal(rate("0"), 0);
    assert_int_equal(rate("none"), 0);
    assert_int_equal(rate("1kB"), 1000);
    static const char *const bad[] = {"", "K", "1.", ".", "-1", "1Mb", "1KK", "1.5.5", "1 M x", "0x10", "1.1234567M", "99999999999999999999",
        "9000000T", "1e6"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(rate(bad[i]) == UINT64_MAX);
}

static void sizes_are_read(void **state)
{
    UNUSED_STATE(state);
    uint64_t v = 0;
    assert_int_equal(units_parse_size("16K", &v), ERR_OK);
    assert_int_equal(v, 16384);
    assert_int_equal(units_parse_size("0.5G", &v), ERR_OK);
    assert_int_equal(v, 536870912);
    assert_int_equal(units_parse_size("2GB", &v), ERR_OK);
    assert_int_equal(v, 2000000000);
    assert_int_equal(units_parse_size("8388607T", &v), ERR_OK);
    assert_int_equal(units_parse_size("8388609T", &v), ERR_RANGE);
    assert_int_equal(units_parse_size("1M/s", &v), ERR_SYNTAX);
    assert_int_equal(units_parse_size("1Mi ", &v), ERR_SYNTAX);
}

static void times_are_read(void **state)
{
    UNUSED_STATE(state);
    nsec t = 0;
    uint64_t pm = 0;
    assert_int_equal(units_parse_ratio("1.5", 1000000, &pm), ERR_OK);
    assert_int_equal(pm, 1500);
    assert_int_equal(units_parse_ratio("1000.001", 1000000, &pm), ERR_RANGE);
    assert_int_equal(units_parse_ratio("1.5x", 1000000, &pm), ERR_SYNTAX);
    assert_int_equal(units_parse_time("30", &t), ERR_OK);
    assert_true(t == 30 * NSEC_S);
    assert_int_equal(units_parse_time("500ms", &t), ERR_OK);
    assert_true(t == 500 * NSEC_MS);
    assert_int_equal(units_parse_time("1h30m", &t), ERR_OK);
    assert_true(t == 5400 * NSEC_S);
    assert_int_equal(units_parse_time("1.5m", &t), ERR_OK);
    assert_true(t == 90 * NSEC_S);
    assert_int_equal(units_parse_time("", &t), ERR_SYNTAX);
    assert_int_equal(units_parse_time("5 m", &t), ERR_SYNTAX);
    assert_int_equal(units_parse_time("1h30", &t), ERR_SYNTAX);
    assert_int_equal(units_parse_time("100000d", &t), ERR_RANGE);
    uint64_t share;
    assert_int_equal(units_parse_share("2.5%", &share), ERR_OK);
    assert_int_equal(share, 25000);
    assert_int_equal(units_parse_share("0.02", &share), ERR_OK);
    assert_int_equal(share, 20000);
    assert_int_equal(units_parse_share("300ppm", &share), ERR_OK);
    assert_int_equal(share, 300);
    assert_int_equal(units_parse_share("3pp", &share), ERR_SYNTAX);
    assert_int_equal(units_parse_share("9999999999999999999%", &share), ERR_RANGE);
}

static void numbers_are_written_for_people(void **state)
{
    UNUSED_STATE(state);
    char t[UNITS_TEXT_MAX];
    assert_string_equal(units_size(0, t), "0 B");
    assert_string_equal(units_size(1023, t), "1023 B");
    assert_string_equal(units_size(1024, t), "1.0 KiB");
    assert_string_equal(units_size(661651456, t), "631.0 MiB");
    assert_string_equal(units_size(MIB - 1, t), "1.0 MiB");         // not "1024.0 KiB"
    assert_string_equal(units_size(UINT64_MAX, t), "16.0 EiB");
    assert_string_equal(units_size_tight(1536, t), "1.5KiB");
    assert_string_equal(units_rate(43306188, t), "41.3 MiB/s");
    assert_string_equal(units_share(423723008, 661651456, t), "404.0 / 631.0 MiB");
    assert_string_equal(units_share(3, 9, t), "3 / 9 B");
    assert_string_equal(units_share(19999999, 20000000, t), "19.0 / 19.1 MiB");
    assert_string_equal(units_share(20000000, 20000000, t), "19.1 / 19.1 MiB");
    assert_string_equal(units_time(5, t), "5s");
    assert_string_equal(units_time(65, t), "1m05s");
    assert_string_equal(units_time(7380, t), "2h03m");
    assert_string_equal(units_time(273600, t), "3d04h");
    assert_string_equal(units_time(UINT64_MAX, t), "-");
    assert_string_equal(units_elapsed(15160 * NSEC_MS, t), "15.2 s");
    assert_string_equal(units_elapsed(75 * NSEC_S, t), "1m15s");
    assert_int_equal(units_percent(999, 1000), 99);
    assert_int_equal(units_percent(0, 0), 100);
    assert_int_equal(units_percent(UINT64_MAX / 2, UINT64_MAX), 49);
    assert_int_equal(units_per_second(10 * GIB, 2 * NSEC_S), 5 * GIB);
    assert_int_equal(units_per_second(10, 0), 0);
}

// ---- options

static char why[OPTIONS_WHY_MAX], hint[OPTIONS_WHY_MAX];

#define PARSE(o, ...) parse_words(o, (const char *[]){"kith", __VA_ARGS__, NULL})

static enum err parse_words(struct options *o, const char **words)
{
    int n = 0;
    while (words[n] != NULL)
        n++;
    return options_parse(o, n, (char **)words, why, hint);
}

// The rate counts from the first byte on, over five seconds at most; while the disk is waited for nobody knows how long it takes.
static void rates_begin_with_the_first_byte(void **state)
{
    UNUSED_STATE(state);
    struct meter m = {0};
    for (nsec s = 0; s <= 10; s++) {
        meter_mark(&m, s * NSEC_S, 0);
        assert_int_equal(meter_bps(&m), 0);
    }
    meter_mark(&m, 11 * NSEC_S, 5000);
    assert_int_equal(meter_bps(&m), 5000);
    meter_mark(&m, 12 * NSEC_S, 6000);
    assert_int_equal(meter_bps(&m), 3000);
    for (nsec s = 13; s <= 20; s++)
        meter_mark(&m, s * NSEC_S, 6000 + (s - 12) * 100);
    assert_int_equal(meter_bps(&m), 100);
    struct progress_view v = {.verb = "get", .id = "", .name = "x", .done = 10, .size = 100, .down_bps = 10, .waits = true, .net = true};
    char text[PROGRESS_TEXT_MAX];
    assert_true(progress_eta(&v) == UINT64_MAX);
    assert_non_null(strstr(progress_block(&v, 100, true, text), "waiting for the disk"));
    assert_non_null(strstr(progress_line(&v, 0, text), "eta=- waits=disk"));
}

// What would be ignored, or fail later and less clearly, is refused at once, with the reason.
static void what_is_of_no_use_is_refused(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *words[6], *why;
    } bad[] = {
        {{"kith", "get", "a.torrent", "--checksum", "sha-1=00"}, "is for a file by its URL"},
        {{"kith", "get", "a.torrent", "--name", "x"}, "is for a file by its URL"},
        {{"kith", "get", "http://h/x", "--name", "../evil"}, "not the name of a file"},
        {{"kith", "get", "http://h/x", "--name", ".."}, "not the name of a file"},
        {{"kith", "get", "http://h/x", "--name", ""}, "its value is empty"},
        {{"kith", "create", "x", "-l", "0"}, "not a size"},
        {{"kith", "tracker", "--interval", "0"}, "longer than no time"},
        {{"kith", "share", "x", "--seed-time", "0s"}, "longer than no time"},
        {{"kith", "get", "x", "--no-tcp", "--no-utp"}, "no way to any peer"},
        {{"kith", "create", "x", "-o", "-"}, "not written to standard output"},
        {{"kith", "get", ""}, "is empty"},
        {{"kith", "get", "x", "-o", ""}, "its value is empty"},
        {{"kith", "get", "http://"}, "malformed URL"},
        {{"kith", "get", "http:///x"}, "malformed URL"},
        {{"kith", "get", "http://h:99999/x"}, "malformed URL"},
        {{"kith", "get", "x", "--peer", "h"}, "not HOST:PORT"},
        {{"kith", "get", "x", "--peer", "::1:x"}, "not HOST:PORT"},
        {{"kith", "share", "x", "--listen", "here"}, "not an IP address"},
        {{"kith", "share", "x", "--proxy", "http://h"}, "not the URL of a SOCKS5 proxy"},
    };
    struct options o;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(parse_words(&o, (const char **)(uintptr_t)bad[i].words), ERR_SYNTAX);
        if (strstr(why, bad[i].why) == NULL)
            fail_msg("%zu: %s", i, why);
        options_done(&o);
    }
    assert_int_equal(PARSE(&o, "get", "http://h/x", "--name", "a", "--comment"), ERR_SYNTAX);
    options_done(&o);
    assert_int_equal(PARSE(&o, "create", "x", "--comment", ""), ERR_OK);
    options_done(&o);
    assert_int_equal(PARSE(&o, "get", "x", "--timeout", "0", "--peer", "[::1]:8", "--peer", "host.example:9"), ERR_OK);
    options_done(&o);
}

// Whoever reads JSON gets the error as JSON, wherever it is in the line.
static void errors_of_usage_are_json(void **state)
{
    UNUSED_STATE(state);
    static const char *const lines[][5] = {
        {"kith", "--json", "gte", "x"}, {"kith", "get", "x", "--frob", "--json"}, {"kith", "create", "x", "--seed", "--json"},
        {"kith", "get", "x", "--json=1"}, {"kith", "-Z", "--json"},
    };
    struct options o;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_int_not_equal(parse_words(&o, (const char **)(uintptr_t)lines[i]), ERR_OK);
        assert_true(o.json);
        options_done(&o);
    }
}

static void options_are_read_in_any_order(void **state)
{
    UNUSED_STATE(state);
    struct options o;
    assert_int_equal(PARSE(&o, "get", "--up", "1M", "x.torrent", "-o", "dir", "--peer=1.2.3.4:5", "-vq", "--peer", "[::1]:6", "--port", "7",
                         "--preallocate"), ERR_OK);
    assert_true(o.preallocate);
    assert_int_equal(o.command, CMD_GET);
    assert_string_equal(o.args.items[0], "x.torrent");
    assert_string_equal(o.output, "dir");
    assert_int_equal(o.up_bps, MIB);
    assert_int_equal(o.peers.n, 2);
    assert_string_equal(o.peers.items[1], "[::1]:6");
    assert_int_equal(o.port, 7);
    assert_int_equal(o.verbose, 1);
    assert_true(o.quiet);
    options_done(&o);
    assert_int_equal(PARSE(&o, "create", "--", "-odd name"), ERR_OK);
    assert_string_equal(o.args.items[0], "-odd name");
    options_done(&o);
    assert_int_equal(PARSE(&o, "-vv", "tracker", "-h"), ERR_OK);
    assert_int_equal(o.verbose, 2);
    assert_true(o.help);
    options_done(&o);
}

static void wrong_options_are_explained(void **state)
{
    UNUSED_STATE(state);
    static const struct {
        const char *words[6];
        const char *why, *hint;
    } cases[] = {
        {{"kith", "get", "x", "--sequental"}, "unknown option --sequental", "did you mean --sequential?"},
        {{"kith", "get", "x", "--seq"}, "unknown option --seq", "did you mean --sequential?"},
        {{"kith", "crate", "x"}, "unknown command crate", "did you mean `kith create`?"},
        {{"kith", "get", "x", "-t", "a.example"}, "--tracker a.example: not the URL of a tracker",
            "write http://HOST:PORT/announce or udp://HOST:PORT"},
        {{"kith", "get", "x", "-t", "udp://a.example"}, "--tracker udp://a.example: not the URL of a tracker",
            "write http://HOST:PORT/announce or udp://HOST:PORT"},
        {{"kith", "create", "x", "-w", "a/b"}, "--web-seed a/b: not a URL", "write https://HOST/PATH, with a / at the end for a directory"},
        {{"kith", "gte", "x"}, "unknown command gte", "did you mean `kith get`?"},
        {{"kith", "get", "x", "--frobnicate"}, "unknown option --frobnicate", "`kith help get` lists the options"},
        {{"kith", "show", "x", "--seed"}, "--seed is no option of `kith show`", ""},
        {{"kith", "get", "x", "--port"}, "--port wants N", ""},
        {{"kith", "get", "x", "--port", "99999"}, "--port 99999: not a port", "write a number from 1 to 65535"},
        {{"kith", "get", "x", "--port", "0"}, "--port 0: not a port", "write a number from 1 to 65535"},
        {{"kith", "get", "x", "--seed=yes"}, "--seed takes no value", ""},
        {{"kith", "get", "x", "--ratio", "1:2"}, "--ratio 1:2: not a ratio", "write a number such as 1 or 1.5"},
        {{"kith", "get", "x", "--ratio", "0"}, "--ratio 0: not a ratio", "write a number such as 1 or 1.5"},
        {{"kith", "get", "x", "y", "--select", "1"}, "--select is for one torrent, not for several", "run `kith get` for that one alone"},
        {{"kith", "share", "x", "y", "-o", "z"}, "--output is for one torrent, not for several", "run `kith share` for that one alone"},
        {{"kith", "get", "x", "--super-seed"}, "--super-seed is no option of `kith get`", ""},
        {{"kith", "verify", "x"}, "DIR is missing", "usage: kith verify FILE.torrent DIR [option...]; `kith help verify` says more"},
        {{"kith", "create", "x", "--v1", "--v2"}, "--v1, --v2 and --hybrid exclude each other", ""},
        {{"kith", "get", "x", "--up", "1Mb"}, "--up 1Mb: not a rate", "write 500K, 1.5M, 8MiB (1024s), 10MB/s (1000s) or 80Mbit"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct options o;
        const char *words[7] = {0};
        memcpy(words, cases[i].words, sizeof cases[i].words);
        assert_int_equal(parse_words(&o, words), ERR_SYNTAX);
        assert_string_equal(why, cases[i].why);
        assert_string_equal(hint, cases[i].hint);
        options_done(&o);
    }
}

// Without this two options could share a letter, or one be missing in the help of its command.
static void table_and_help_agree(void **state)
{
    UNUSED_STATE(state);
    size_t n = 0;
    const struct option_row *rows = options_table(&n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            assert_string_not_equal(rows[i].name, rows[k].name);
            assert_false(rows[i].letter != 0 && rows[i].letter == rows[k].letter);
        }
    for (unsigned c = CMD_NONE + 1; c < CMD_HELP; c++) {
        char *text = NULL, wanted[64];
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        options_help(f, (enum command)c);
        fclose(f);
        assert_non_null(strstr(text, "usage: kith "));
        assert_non_null(strstr(text, "examples:"));
        for (size_t i = 0; i < n; i++) {
            snprintf(wanted, sizeof wanted, "--%s ", rows[i].name);
            const bool takes = c != CMD_LAB && (rows[i].commands >> c & 1) != 0;        // the laboratory reads its own command line
            assert_int_equal(strstr(text, wanted) != NULL && strstr(text, rows[i].help) != NULL, takes);
        }
        free(text);
    }
}

// Without this the man page would tell of options that are gone. To mend it: kith help man >docs/man/kith.1
static void man_page_is_that_of_the_table(void **state)
{
    UNUSED_STATE(state);
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    options_man(f);
    fclose(f);
    struct buf page = {0};
    assert_int_equal(fileio_read(TEST_DATA "/../docs/man/kith.1", 1 << 20, &page), 0);
    assert_true(slice_eq_str(buf_slice(&page), text));
    free(page.p);
    free(text);
}

// ---- selection

#define FILE_ROW(text) {.path = {(const uint8_t *)(text), sizeof(text) - 1}}

static void files_are_selected_by_number_and_name(void **state)
{
    UNUSED_STATE(state);
    struct metainfo_file files[] = {FILE_ROW("album/01.flac"), {.path = SLICE_LIT("album/.pad/5"), .flags = FILE_PAD}, FILE_ROW("album/02.flac"),
        FILE_ROW("album/art/front.jpg"), FILE_ROW("album/art/notes.txt")};
    const struct metainfo m = {.files = files, .files_n = ARRAY_LEN(files), .is_dir = true};
    static const struct {
        const char *list;
        enum err err;
        const char *wanted;
    } cases[] = {
        {"1", ERR_OK, "1...."}, {"2", ERR_OK, "..1.."}, {"1,3-4", ERR_OK, "1..11"}, {"3-", ERR_OK, "...11"}, {"-2", ERR_OK, "1.1.."},
        {"*.flac", ERR_OK, "1.1.."}, {"art/*", ERR_OK, "...11"}, {"album/art/front.jpg,1", ERR_OK, "1..1."}, {"notes.txt", ERR_OK, "....1"},
        {"5", ERR_RANGE, NULL}, {"0", ERR_RANGE, NULL}, {"3-2", ERR_RANGE, NULL}, {"", ERR_SYNTAX, NULL}, {"1,,2", ERR_SYNTAX, NULL},
        {"-", ERR_SYNTAX, NULL}, {"1-2-3", ERR_SYNTAX, NULL}, {"*.mp3", ERR_NOT_FOUND, NULL}, {"99999999999999999999", ERR_SYNTAX, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool out[ARRAY_LEN(files)];
        char said[SELECT_WHY_MAX] = "";
        assert_int_equal(select_parse(cases[i].list, &m, out, said), cases[i].err);
        assert_int_equal(said[0] != 0, cases[i].err != ERR_OK);
        for (size_t k = 0; k < ARRAY_LEN(files) && cases[i].err == ERR_OK; k++)
            assert_int_equal(out[k], cases[i].wanted[k] == '1');
    }
}

// ---- progress

static const struct progress_view view = {.verb = "get", .id = "b41adf8912345678", .name = "debian-12.iso", .done = 423723008, .size = 661651456,
    .down_bps = 43306188, .up_bps = 2202009, .up_bytes = 77, .peers = 38, .seeds = 112, .known = 214, .net = true};

static void progress_looks_as_it_should(void **state)
{
    UNUSED_STATE(state);
    char t[PROGRESS_TEXT_MAX];
    assert_string_equal(progress_line(&view, 1795363330, t),
        "2026-11-22T16:02:10Z get b41adf89 64% 404.1MiB/631.0MiB dl=41.3MiB/s ul=2.1MiB/s peers=38 eta=6s");
    assert_string_equal(progress_block(&view, 80, false, t),
        " #################=----------   64%  404.0 / 631.0 MiB   41.3 MiB/s   ETA 6s\n"
        " peers 38 | seeds 112 | up 2.1 MiB/s | known 214");
    assert_non_null(strstr(progress_block(&view, 100, true, t), "█████████████████▌──────────"));
    struct progress_view v = view;
    v.done = v.size = 0;
    v.unsized = true;
    assert_non_null(strstr(progress_line(&v, 1795363330, t), " 0% 0B/0B "));
    assert_non_null(strstr(progress_line(&v, 1795363330, t), "eta=-"));
    assert_non_null(strstr(progress_block(&v, 80, false, t), " ------"));
    assert_non_null(strstr(progress_block(&v, 80, false, t), "   0%  "));
    v = view;
    assert_string_equal(progress_row(&v, 80, false, t), " debian-12.iso         64%  404.0 / 631.0 MiB   41.3 MiB/s   ETA 6s   peers 38");
    v.name = "a name that is much longer than its column";
    v.done = v.size;
    assert_string_equal(progress_row(&v, 80, false, t), " a name that is much~ 100%  631.0 / 631.0 MiB   up 2.1 MiB/s   peers 38");
}

// Without this a narrow terminal would wrap the block and the next drawing would leave rubbish.
static void progress_never_exceeds_the_terminal(void **state)
{
    UNUSED_STATE(state);
    char t[PROGRESS_TEXT_MAX];
    for (unsigned width = 1; width < 120; width++) {
        for (int utf8 = 0; utf8 < 2; utf8++) {
            progress_row(&view, width, utf8 != 0, t);
            assert_true(strlen(t) <= width);        // the name is plain, nothing is cut
            progress_block(&view, width, utf8 != 0, t);
            unsigned column = 0;
            for (const char *p = t; *p != 0; p++) {
                column = *p == '\n' ? 0 : column + ((*p & 0xc0) != 0x80);
                assert_true(column <= width);
            }
        }
    }
}

static void eta_is_known_only_at_a_rate(void **state)
{
    UNUSED_STATE(state);
    struct progress_view v = view;
    v.down_bps = 0;
    assert_true(progress_eta(&v) == UINT64_MAX);
    v.done = v.size;
    assert_int_equal(progress_eta(&v), 0);
}

// ---- JSON lines

static json_t *line_of(void (*say)(struct talk *t))
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n), *err = fopen("/dev/null", "w");
    struct talk t;
    talk_init(&t, out, err);
    t.json = true;
    say(&t);
    fclose(out);
    fclose(err);
    assert_true(n > 1);
    assert_true(strchr(text, '\n') == text + n - 1);
    json_t *v = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(v);
    free(text);
    assert_int_equal(json_integer_value(json_object_get(v, "v")), 1);
    assert_true(json_integer_value(json_object_get(v, "ts")) > 1600000000000);
    return v;
}

static void say_error(struct talk *t)
{
    assert_int_equal(talk_fail(t, FAIL_DISK_FULL, "free 240 MiB or use -o", "no space left on %s", "/ho\xff\x1b[me"), 8);
}

static void say_progress(struct talk *t)
{
    talk_emit(t, progress_json(&view));
}

static void json_lines_have_their_shape(void **state)
{
    UNUSED_STATE(state);
    json_t *e = line_of(say_error);
    assert_string_equal(json_string_value(json_object_get(e, "type")), "error");
    assert_string_equal(json_string_value(json_object_get(e, "code")), "disk_full");
    assert_int_equal(json_integer_value(json_object_get(e, "exit")), 8);
    assert_string_equal(json_string_value(json_object_get(e, "message")), "no space left on /ho\xef\xbf\xbd\xef\xbf\xbd[me");
    assert_string_equal(json_string_value(json_object_get(e, "hint")), "free 240 MiB or use -o");
    json_decref(e);
    e = line_of(say_progress);
    static const char *const integers[] = {"done", "size", "down", "up", "up_bytes", "peers", "seeds", "eta"};
    for (size_t i = 0; i < ARRAY_LEN(integers); i++)
        assert_true(json_is_integer(json_object_get(e, integers[i])));
    assert_int_equal(json_integer_value(json_object_get(e, "size")), 661651456);
    assert_string_equal(json_string_value(json_object_get(e, "id")), view.id);
    json_decref(e);
}

// Without this a file name could move the cursor or break a reader of JSON.
static void foreign_text_is_made_fit_to_print(void **state)
{
    UNUSED_STATE(state);
    char t[TALK_NAME_MAX];
    assert_string_equal(talk_clean(SLICE_LIT("a\nb"), t), "a\xef\xbf\xbd" "b");
    assert_string_equal(talk_clean(SLICE_LIT("\xc3\xa4\xe2\x98\x83\xf0\x9f\x8d\x8e"), t), "\xc3\xa4\xe2\x98\x83\xf0\x9f\x8d\x8e");
    assert_string_equal(talk_clean(SLICE_LIT("\xc0\xaf"), t), "\xef\xbf\xbd\xef\xbf\xbd");
    assert_string_equal(talk_clean(SLICE_LIT("\xed\xa0\x80x"), t), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx");
    assert_string_equal(talk_clean(SLICE_LIT("\xe2\x98"), t), "\xef\xbf\xbd\xef\xbf\xbd");
    assert_string_equal(talk_clean(SLICE_LIT("\xc2\x9b" "31m"), t), "\xef\xbf\xbd" "31m");
    uint8_t all[5000];
    memset(all, 0xff, sizeof all);
    assert_true(strlen(talk_clean(slice_of(all, sizeof all), t)) < TALK_NAME_MAX);
    json_t *v = talk_json_text(slice_of(all, sizeof all));
    assert_int_equal(json_string_length(v), 3 * sizeof all);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_read_in_their_unit), cmocka_unit_test(sizes_are_read), cmocka_unit_test(times_are_read),
        cmocka_unit_test(numbers_are_written_for_people), cmocka_unit_test(options_are_read_in_any_order),
        cmocka_unit_test(what_is_of_no_use_is_refused),   cmocka_unit_test(errors_of_usage_are_json),
        cmocka_unit_test(rates_begin_with_the_first_byte),
        cmocka_unit_test(wrong_options_are_explained), cmocka_unit_test(table_and_help_agree),
        cmocka_unit_test(man_page_is_that_of_the_table),
        cmocka_unit_test(files_are_selected_by_number_and_name), cmocka_unit_test(progress_looks_as_it_should),
        cmocka_unit_test(progress_never_exceeds_the_terminal), cmocka_unit_test(eta_is_known_only_at_a_rate),
        cmocka_unit_test(json_lines_have_their_shape), cmocka_unit_test(foreign_text_is_made_fit_to_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
