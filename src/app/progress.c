// See progress.h.
#include "app/progress.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"

void progress_init(struct progress *p, struct talk *talk, enum progress_mode mode)
{
    *p = (struct progress){.talk = talk, .mode = mode};
    const char *const term = getenv("TERM");
    const bool can = isatty(fileno(talk->err)) == 1 && term != NULL && strcmp(term, "dumb") != 0;
    if (mode == PROGRESS_AUTO)
        p->mode = talk->quiet || talk->json ? PROGRESS_NONE : can ? PROGRESS_BLOCK : PROGRESS_LINES;
}

void meter_mark(struct meter *m, nsec now, uint64_t bytes)
{
    if (m->n == 1 && m->marks[0].bytes == bytes)
        m->n = 0;                       // nothing has come yet: time begins here
    m->marks[m->n++ % METER_MARKS].at = now;
    m->marks[(m->n - 1) % METER_MARKS].bytes = bytes;
}

uint64_t meter_bps(const struct meter *m)
{
    if (m->n < 2)
        return 0;
    const uint32_t last = (m->n - 1) % METER_MARKS, first = m->n <= METER_MARKS ? 0 : m->n % METER_MARKS;
    return units_per_second(m->marks[last].bytes - m->marks[first].bytes, m->marks[last].at - m->marks[first].at);
}

uint64_t progress_eta(const struct progress_view *v)
{
    if (v->unsized)
        return UINT64_MAX;
    if (v->done >= v->size)
        return 0;
    return v->down_bps == 0 || v->waits ? UINT64_MAX : u64_div_up(v->size - v->done, v->down_bps);
}

static unsigned percent_of(const struct progress_view *v)
{
    return v->unsized ? 0 : units_percent(v->done, v->size);
}

// The bar: `columns` wide, in half columns where the terminal can.
static void write_bar(struct wr *w, const struct progress_view *v, unsigned columns, bool utf8)
{
    // in per mille first, so that nothing overflows
    const uint64_t per_mille = v->unsized ? 0 : v->size == 0 ? 1000 : v->done >= v->size ? 1000 : v->done / (v->size / 1000 + 1);
    const unsigned halves = (unsigned)(per_mille * columns * 2 / 1000);
    for (unsigned i = 0; i < columns; i++) {
        if (i < halves / 2)
            wr_str(w, utf8 ? "█" : "#");
        else if (i == halves / 2 && halves % 2 == 1)
            wr_str(w, utf8 ? "▌" : "=");
        else
            wr_str(w, utf8 ? "─" : "-");
    }
}

// Columns that UTF-8 text takes, if every character is one wide: true for all that is written here.
static unsigned columns_of(struct slice s)
{
    unsigned n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

// Appends a line and cuts it to the terminal, because a wrapped line cannot be taken back.
static void append_cut(struct wr *out, struct slice line, unsigned width)
{
    size_t n = line.n;
    while (n > 0 && columns_of(slice_sub(line, 0, n)) > width)
        do
            n--;
        while (n > 0 && (line.p[n] & 0xc0) == 0x80);
    wr_bytes(out, slice_sub(line, 0, n));
}

char *progress_block(const struct progress_view *v, unsigned width, bool utf8, char out[PROGRESS_TEXT_MAX])
{
    char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX], c[UNITS_TEXT_MAX];
    uint8_t tail_text[256], line_text[512];
    struct buf tail = {tail_text, 0, sizeof tail_text}, line = {line_text, 0, sizeof line_text};
    struct buf all = {(uint8_t *)out, 0, PROGRESS_TEXT_MAX - 1};
    struct wr t = wr_make(&tail), l = wr_make(&line), w = wr_make(&all);
    wr_fmt(&t, "  %3u%%  %s   %s   ETA %s", percent_of(v), units_share(v->done, v->size, a),
        units_rate(v->down_bps, b), v->waits ? "-, waiting for the disk" : units_time(progress_eta(v), c));
    const unsigned taken = columns_of(buf_slice(&tail)) + 1;
    unsigned bar = width > taken ? width - taken - (width - taken > 1) : 0;
    bar = u32_min(bar, PROGRESS_BAR_MAX);
    wr_str(&l, " ");
    if (bar >= 4)
        write_bar(&l, v, bar, utf8);
    wr_bytes(&l, buf_slice(&tail));
    append_cut(&w, buf_slice(&line), width);
    if (v->net) {
        const char *const dot = utf8 ? " · " : " | ";
        line.n = 0;
        wr_fmt(&l, " peers %u%sseeds %u%s%s %s%sknown %u", v->peers, dot, v->seeds, dot, utf8 ? "↑" : "up",
            units_rate(v->up_bps, a), dot, v->known);
        if (v->web != 0)
            wr_fmt(&l, "%sservers %u", dot, v->web);
        wr_str(&w, "\n");
        append_cut(&w, buf_slice(&line), width);
    }
    out[all.n] = 0;
    return out;
}

// A name in so many columns, cut or filled up.
static void write_name(struct wr *w, struct slice name, unsigned columns, bool utf8)
{
    const unsigned all = columns_of(name);
    if (all <= columns) {
        wr_bytes(w, name);
        for (unsigned i = all; i < columns; i++)
            wr_u8(w, ' ');
        return;
    }
    append_cut(w, name, columns - 1);
    wr_str(w, utf8 ? "…" : "~");
}

char *progress_row(const struct progress_view *v, unsigned width, bool utf8, char out[PROGRESS_TEXT_MAX])
{
    char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX], c[UNITS_TEXT_MAX];
    uint8_t text[PROGRESS_TEXT_MAX];
    struct buf line = {text, 0, sizeof text}, all = {(uint8_t *)out, 0, PROGRESS_TEXT_MAX - 1};
    struct wr l = wr_make(&line), w = wr_make(&all);
    const bool seeds = v->done >= v->size;
    wr_str(&l, " ");
    write_name(&l, slice_str(v->name), PROGRESS_NAME, utf8);
    wr_fmt(&l, " %3u%%  %s   %s%s   %s%s", percent_of(v), units_share(v->done, v->size, a),
        !seeds ? "" : utf8 ? "↑" : "up ", units_rate(seeds ? v->up_bps : v->down_bps, b), seeds ? "" : "ETA ",
        seeds ? "" : v->waits ? "-, waiting for the disk" : units_time(progress_eta(v), c));
    wr_fmt(&l, "%speers %u", seeds ? "" : "   ", v->peers);
    append_cut(&w, buf_slice(&line), width);
    out[all.n] = 0;
    return out;
}

char *progress_line(const struct progress_view *v, int64_t unix_s, char out[PROGRESS_TEXT_MAX])
{
    char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX], c[UNITS_TEXT_MAX], d[UNITS_TEXT_MAX], stamp[32] = "";
    const time_t at = (time_t)unix_s;
    struct tm tm;
    if (gmtime_r(&at, &tm) != NULL)
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
    struct buf all = {(uint8_t *)out, 0, PROGRESS_TEXT_MAX - 1};
    struct wr w = wr_make(&all);
    wr_fmt(&w, "%s %s %.8s%s%u%% %s/%s", stamp, v->verb, v->id, v->id[0] != 0 ? " " : "", percent_of(v),
        units_size_tight(v->done, a), units_size_tight(v->size, b));
    if (v->net)
        wr_fmt(&w, " dl=%s ul=%s peers=%u", units_rate_tight(v->down_bps, c), units_rate_tight(v->up_bps, d), v->peers);
    else
        wr_fmt(&w, " rate=%s", units_rate_tight(v->down_bps, c));
    wr_fmt(&w, " eta=%s%s", units_time(progress_eta(v), c), v->waits ? " waits=disk" : "");
    out[all.n] = 0;
    return out;
}

json_t *progress_json(const struct progress_view *v)
{
    json_t *e = talk_event("progress");
    json_object_set_new(e, "task", json_string(v->verb));
    if (v->id[0] != 0)
        json_object_set_new(e, "id", json_string(v->id));
    json_object_set_new(e, "name", talk_json_text(slice_str(v->name)));
    json_object_set_new(e, "done", talk_json_count(v->done));
    json_object_set_new(e, "size", talk_json_count(v->size));
    json_object_set_new(e, "down", talk_json_count(v->down_bps));
    if (v->net) {
        json_object_set_new(e, "up", talk_json_count(v->up_bps));
        json_object_set_new(e, "up_bytes", talk_json_count(v->up_bytes));
        json_object_set_new(e, "peers", talk_json_count(v->peers));
        json_object_set_new(e, "seeds", talk_json_count(v->seeds));
    }
    if (v->web != 0)
        json_object_set_new(e, "servers", talk_json_count(v->web));
    if (v->waits)
        json_object_set_new(e, "waits", json_string("disk"));
    const uint64_t eta = progress_eta(v);
    json_object_set_new(e, "eta", eta == UINT64_MAX ? json_null() : talk_json_count(eta));
    return e;
}

static struct winsize terminal_size(FILE *f)
{
    struct winsize size = {0};
    if (ioctl(fileno(f), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        size.ws_col = 80;
    if (size.ws_row == 0)
        size.ws_row = 24;
    return size;
}

// Of all views together: one of their 64-bit numbers.
static uint64_t sum(const struct progress_view *v, uint32_t n, size_t field)
{
    uint64_t all = 0, one;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(&one, (const char *)&v[i] + field, sizeof one);
        all = u64_add_sat(all, one);
    }
    return all;
}

// A line for each, as far as the terminal has room.
static void draw_rows(struct progress *p, const struct progress_view *v, uint32_t n)
{
    char text[PROGRESS_TEXT_MAX];
    const struct winsize size = terminal_size(p->talk->err);
    const uint32_t room = u32_min(size.ws_row > 2 ? size.ws_row - 2u : 1, PROGRESS_ROWS_MAX);
    const uint32_t shown = n <= room ? n : room;
    talk_erase(p->talk);
    pthread_mutex_lock(&p->talk->lock);
    for (uint32_t i = 0; i < shown; i++)
        fprintf(p->talk->err, "%s%s", i == 0 ? "" : "\n", progress_row(&v[i], size.ws_col, p->talk->utf8, text));
    if (shown < n)
        fprintf(p->talk->err, "\n and %u more", n - shown);
    fflush(p->talk->err);
    p->talk->drawn = shown + (shown < n);
    pthread_mutex_unlock(&p->talk->lock);
}

// The block replaces the one before it; its first line feeds make room below the cursor.
static void draw(struct progress *p, const struct progress_view *v)
{
    char text[PROGRESS_TEXT_MAX];
    struct progress_view shown = *v;
    if (p->mode == PROGRESS_LINE)
        shown.net = false;
    progress_block(&shown, terminal_size(p->talk->err).ws_col, p->talk->utf8, text);
    talk_erase(p->talk);
    pthread_mutex_lock(&p->talk->lock);
    fputs(text, p->talk->err);
    fflush(p->talk->err);
    p->talk->drawn = shown.net ? 2 : 1;
    pthread_mutex_unlock(&p->talk->lock);
}

void progress_show(struct progress *p, nsec now, const struct progress_view *v, uint32_t n, bool at_once)
{
    ASSERT(n != 0);
    if (!at_once && now < p->next)
        return;
    nsec wait = NSEC_S;
    char text[PROGRESS_TEXT_MAX];
    for (uint32_t i = 0; i < n && p->talk->json; i++)
        talk_emit(p->talk, progress_json(&v[i]));
    switch (p->mode) {
    case PROGRESS_AUTO:             // decided by progress_init
    case PROGRESS_NONE: break;
    case PROGRESS_BLOCK:
    case PROGRESS_LINE:
        if (n == 1)
            draw(p, v);
        else if (p->mode == PROGRESS_BLOCK)
            draw_rows(p, v, n);
        else
            draw(p, &(struct progress_view){.verb = v->verb, .id = "", .name = "", .done = sum(v, n, offsetof(struct progress_view, done)),
                .size = sum(v, n, offsetof(struct progress_view, size)), .down_bps = sum(v, n, offsetof(struct progress_view, down_bps))});
        wait = PROGRESS_DRAW_MS * NSEC_MS;
        break;
    case PROGRESS_LINES:
        for (uint32_t i = 0; i < n; i++)
            talk_note(p->talk, "%s", progress_line(&v[i], talk_now_ms() / 1000, text));
        wait = PROGRESS_LINES_S * NSEC_S;
        break;
    }
    if (!at_once)
        p->next = now + (p->talk->json ? NSEC_S : wait);
}

void progress_end(struct progress *p)
{
    talk_erase(p->talk);
}
