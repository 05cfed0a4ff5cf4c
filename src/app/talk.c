// See talk.h.
#include "app/talk.h"

#include "crypto/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

void talk_init(struct talk *t, FILE *out, FILE *err)
{
    *t = (struct talk){.out = out, .err = err};
    pthread_mutex_init(&t->lock, NULL);
}

int fail_status(enum fail f)
{
#define FAIL_CASE(id, status, code) case id: return status;
    switch (f) { FAILS(FAIL_CASE) case FAIL_N: break; }
#undef FAIL_CASE
    return 1;
}

const char *fail_code(enum fail f)
{
#define FAIL_CASE(id, status, code) case id: return code;
    switch (f) { FAILS(FAIL_CASE) case FAIL_N: break; }
#undef FAIL_CASE
    return "internal";
}

enum fail fail_of_errno(int e)
{
    switch (e) {
    case ENOENT: case ENOTDIR: return FAIL_NOT_FOUND;
    case EACCES: case EPERM: case EROFS: case ELOOP: return FAIL_PERMISSION;
    case ENOSPC: case EDQUOT: case EFBIG: return FAIL_DISK_FULL;
    case EEXIST: return FAIL_DUPLICATE;
    case ENOMEM: return FAIL_INTERNAL;
    default: return FAIL_IO;
    }
}

enum fail fail_of_err(enum err e)
{
    switch (e) {
    case ERR_NOT_FOUND: case ERR_NOT_DIR: return FAIL_NOT_FOUND;
    case ERR_ACCESS: case ERR_READONLY: case ERR_LINK: return FAIL_PERMISSION;
    case ERR_NOSPACE: return FAIL_DISK_FULL;
    case ERR_IO: case ERR_VANISHED: case ERR_IS_DIR: return FAIL_IO;
    case ERR_HASH: return FAIL_HASH_MISMATCH;
    case ERR_EXISTS: return FAIL_DUPLICATE;
    case ERR_TIMEOUT: return FAIL_TIMEOUT;
    case ERR_CLOSED: case ERR_REFUSED: case ERR_UNREACHABLE: case ERR_PROTOCOL: case ERR_PROXY: return FAIL_NETWORK;
    case ERR_CANCELLED: return FAIL_INTERRUPTED;
    case ERR_OK: case ERR_NOMEM: case ERR_FULL: case ERR_RANGE: case ERR_SYNTAX: case ERR_TOO_LONG: case ERR_AGAIN:
    case ERR_UNSUPPORTED: case ERR_N: break;
    }
    return FAIL_INTERNAL;
}

// The caller holds the lock.
static void erase(struct talk *t)
{
    if (t->drawn == 0)
        return;
    fputs("\r\033[K", t->err);
    for (unsigned i = 1; i < t->drawn; i++)
        fputs("\033[1A\033[K", t->err);
    t->drawn = 0;
}

void talk_erase(struct talk *t)
{
    pthread_mutex_lock(&t->lock);
    erase(t);
    fflush(t->err);
    pthread_mutex_unlock(&t->lock);
}

// One line to `to`, below whatever is drawn there.
static void say(struct talk *t, FILE *to, const char *before, const char *text, const char *after)
{
    pthread_mutex_lock(&t->lock);
    erase(t);
    fprintf(to, "%s%s%s\n", before, text, after);
    fflush(to);
    pthread_mutex_unlock(&t->lock);
}

FORMAT(2, 0)
static void compose(char text[TALK_LINE_MAX], const char *fmt, va_list args)
{
    if (vsnprintf(text, TALK_LINE_MAX, fmt, args) < 0)
        text[0] = 0;
}

int talk_fail(struct talk *t, enum fail f, const char *hint, const char *fmt, ...)
{
    char text[TALK_LINE_MAX], before[64], after[TALK_NAME_MAX];
    va_list args;
    va_start(args, fmt);
    compose(text, fmt, args);
    va_end(args);
    snprintf(before, sizeof before, "%s%skith%s%s:%s ", t->color ? "\033[1;31m" : "", t->utf8 ? "✗ " : "",
        t->command != NULL ? " " : "", t->command != NULL ? t->command : "", t->color ? "\033[0m" : "");
    const char *const arrow = t->hint_apart ? "\n  " : " ";
    snprintf(after, sizeof after, "  [%s]%s%s%s", fail_code(f), hint != NULL ? arrow : "",
        hint == NULL ? "" : t->utf8 ? "→ " : "-> ", hint != NULL ? hint : "");
    say(t, t->err, before, text, after);
    json_t *e = talk_event("error");
    json_object_set_new(e, "code", json_string(fail_code(f)));
    json_object_set_new(e, "exit", json_integer(fail_status(f)));
    json_object_set_new(e, "message", talk_json_text(slice_str(text)));
    if (hint != NULL)
        json_object_set_new(e, "hint", talk_json_text(slice_str(hint)));
    if (t->about != NULL)
        json_object_set_new(e, "id", json_string(t->about));
    talk_emit(t, e);
    return fail_status(f);
}

void talk_warn(struct talk *t, const char *fmt, ...)
{
    char text[TALK_LINE_MAX];
    va_list args;
    va_start(args, fmt);
    compose(text, fmt, args);
    va_end(args);
    say(t, t->err, t->color ? "\033[33mwarning:\033[0m " : "warning: ", text, "");
    json_t *e = talk_event("warning");
    json_object_set_new(e, "message", talk_json_text(slice_str(text)));
    talk_emit(t, e);
}

// fmt as a line of its own.
FORMAT(3, 0)
static void say_line(struct talk *t, FILE *to, const char *fmt, va_list args)
{
    char text[TALK_LINE_MAX];
    compose(text, fmt, args);
    say(t, to, "", text, "");
}

void talk_note(struct talk *t, const char *fmt, ...)
{
    if (t->quiet)
        return;
    va_list args;
    va_start(args, fmt);
    say_line(t, t->err, fmt, args);
    va_end(args);
}

void talk_debug(struct talk *t, const char *fmt, ...)
{
    if (t->verbose == 0)
        return;
    va_list args;
    va_start(args, fmt);
    say_line(t, t->err, fmt, args);
    va_end(args);
}

void talk_log(struct talk *t, enum log_level level, const char *text)
{
    if (level >= LOG_INFO || t->verbose > 1)
        talk_debug(t, "%s", text);
}

void talk_data(struct talk *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say_line(t, t->out, fmt, args);
    va_end(args);
}

void talk_field(struct talk *t, const char *label, struct slice text)
{
    char clean[TALK_NAME_MAX];
    if (text.n > 0)
        talk_data(t, "%-10s %s", label, talk_clean(text, clean));
}

void talk_field_hash(struct talk *t, const char *label, struct slice digest)
{
    uint8_t text[2 * 64];
    struct buf b = {text, 0, sizeof text};
    struct wr w = wr_make(&b);
    wr_hex(&w, slice_sub(digest, 0, sizeof text / 2));
    talk_field(t, label, buf_slice(&b));
}

int64_t talk_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

json_t *talk_event(const char *type)
{
    json_t *e = json_object();
    json_object_set_new(e, "v", json_integer(1));
    json_object_set_new(e, "ts", json_integer(talk_now_ms()));
    json_object_set_new(e, "type", json_string(type));
    return e;
}

void talk_emit(struct talk *t, json_t *event)
{
    if (t->json && event != NULL) {
        char *text = json_dumps(event, JSON_COMPACT);
        if (text != NULL)
            say(t, t->out, "", text, "");
        free(text);
    }
    json_decref(event);
}

// Length of the well-formed UTF-8 character at the front of s (RFC 3629), 0: none.
static size_t utf8_len(struct slice s)
{
    const uint8_t c = s.p[0];
    if (c < 0x80)
        return 1;
    const size_t n = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (n == 0 || s.n < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s.p[i] & 0xc0) != 0x80)
            return 0;
    const uint8_t d = s.p[1];
    const bool bad = (c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f);
    return bad ? 0 : n;
}

char *talk_clean(struct slice s, char out[TALK_NAME_MAX])
{
    size_t n = 0;
    while (s.n > 0) {
        const size_t k = utf8_len(s);
        // C0, DEL and C1 controls would steer the terminal
        const bool control = (k == 1 && (s.p[0] < 0x20 || s.p[0] == 0x7f)) || (k == 2 && s.p[0] == 0xc2 && s.p[1] < 0xa0);
        const struct slice c = k == 0 || control ? SLICE_LIT("\xef\xbf\xbd") : slice_sub(s, 0, k);
        if (n + c.n >= TALK_NAME_MAX)
            break;
        memcpy(out + n, c.p, c.n);
        n += c.n;
        s = slice_sub(s, k == 0 ? 1 : k, s.n);
    }
    out[n] = 0;
    return out;
}

json_t *talk_json_text(struct slice s)
{
    // a message may be longer than a name: in parts, at the borders of characters
    char part[TALK_NAME_MAX];
    struct buf all = {malloc(s.n * 3 + 1), 0, s.n * 3 + 1};
    if (all.p == NULL)
        return NULL;
    struct wr w = wr_make(&all);
    while (s.n > 0) {
        size_t k = size_min(s.n, TALK_NAME_MAX / 4);
        while (k < s.n && k > TALK_NAME_MAX / 4 - 4 && (s.p[k] & 0xc0) == 0x80)
            k--;
        talk_clean(slice_sub(s, 0, k), part);
        wr_str(&w, part);
        s = slice_sub(s, k, s.n);
    }
    json_t *v = json_stringn((const char *)all.p, all.n);
    free(all.p);
    return v;
}

json_t *talk_json_hex(struct slice s)
{
    uint8_t text[128];
    struct buf b = {text, 0, sizeof text};
    struct wr w = wr_make(&b);
    wr_hex(&w, s);
    return json_stringn((const char *)text, b.n);
}

json_t *talk_json_count(uint64_t v)
{
    return json_integer((json_int_t)u64_min(v, INT64_MAX));
}
