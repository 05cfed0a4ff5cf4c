// See metalink.h. Expat reads the XML; a document type is refused, so that there are no entities to blow up.
#include "app/metalink.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/path.h"

#define NS "urn:ietf:params:xml:ns:metalink|"

enum { PRIORITY_DEFAULT = 999999, DEPTH_MAX = 16 };

// What the text of an element is for.
enum part { PART_NONE, PART_ROOT, PART_FILE, PART_SIZE, PART_SUM_1, PART_SUM_256, PART_PIECES, PART_PIECE, PART_URL, PART_TORRENT };

struct reader {
    XML_Parser xml;
    struct metalink *out;
    struct metalink_file *file;         // that it is in
    enum part parts[DEPTH_MAX];         // open elements
    uint32_t depth;
    bool seen_root;
    enum err err;
    char *why;
    char text[METALINK_TEXT_MAX + 1];
    size_t text_n;
    uint32_t priority;
};

static void fail(struct reader *r, enum err e, const char *why)
{
    if (r->err == ERR_OK) {
        r->err = e;
        (void)snprintf(r->why, METALINK_WHY_MAX, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(r->xml), why);
    }
    (void)XML_StopParser(r->xml, XML_FALSE);
}

static const char *attribute(const char **all, const char *name)
{
    for (size_t i = 0; all[i] != NULL; i += 2)
        if (strcmp(all[i], name) == 0)
            return all[i + 1];
    return "";
}

static bool number(const char *text, uint64_t most, uint64_t *out)
{
    return dec_parse(slice_str(text), most, out) == ERR_OK;
}

static enum part begin_file(struct reader *r, const char **attributes)
{
    struct metalink *m = r->out;
    if (m->files_n == METALINK_FILES_MAX) {
        fail(r, ERR_TOO_LONG, "too many files");
        return PART_NONE;
    }
    const char *const name = attribute(attributes, "name");
    if (strlen(name) > METALINK_TEXT_MAX) {
        fail(r, ERR_TOO_LONG, "a name is too long");
        return PART_NONE;
    }
    struct metalink_file *files = realloc(m->files, (m->files_n + 1) * sizeof *files);
    if (files != NULL)
        m->files = files;
    char *copy = strdup(name);
    if (files == NULL || copy == NULL || *name == 0) {
        free(copy);
        fail(r, *name == 0 ? ERR_SYNTAX : ERR_NOMEM, *name == 0 ? "a file without a name" : "out of memory");
        return PART_NONE;
    }
    r->file = &files[m->files_n++];
    *r->file = (struct metalink_file){.name = copy, .size = METALINK_SIZE_UNKNOWN};
    return PART_FILE;
}

static enum part begin_pieces(struct reader *r, const char **attributes)
{
    uint64_t len = 0;
    if (r->file->pieces_n != 0 || strcmp(attribute(attributes, "type"), "sha-1") != 0)
        return PART_NONE;               // others are of no use: the whole one's digest decides
    if (!number(attribute(attributes, "length"), UINT32_MAX, &len) || len == 0)
        return PART_NONE;
    r->file->piece_len = len;
    return PART_PIECES;
}

static enum part begin_url(struct reader *r, const char **attributes, enum part what)
{
    uint64_t priority = PRIORITY_DEFAULT;
    (void)number(attribute(attributes, "priority"), PRIORITY_DEFAULT, &priority);
    r->priority = (uint32_t)priority;
    return what;
}

static enum part part_of(struct reader *r, const char *name, const char **attributes)
{
    const enum part in = r->depth == 0 ? PART_NONE : r->parts[r->depth - 1];
    if (r->depth == 0) {
        r->seen_root = strcmp(name, NS "metalink") == 0;
        if (!r->seen_root)
            fail(r, ERR_SYNTAX, "not a Metalink document of version 4 (RFC 5854)");
        return PART_ROOT;
    }
    if (in == PART_ROOT && strcmp(name, NS "file") == 0)
        return begin_file(r, attributes);
    if (in == PART_PIECES && strcmp(name, NS "hash") == 0)
        return PART_PIECE;
    if (in != PART_FILE)
        return PART_NONE;
    if (strcmp(name, NS "size") == 0)
        return PART_SIZE;
    if (strcmp(name, NS "hash") == 0)
        return strcmp(attribute(attributes, "type"), "sha-256") == 0 ? PART_SUM_256 :
            strcmp(attribute(attributes, "type"), "sha-1") == 0 ? PART_SUM_1 : PART_NONE;
    if (strcmp(name, NS "pieces") == 0)
        return begin_pieces(r, attributes);
    if (strcmp(name, NS "url") == 0)
        return begin_url(r, attributes, PART_URL);
    if (strcmp(name, NS "metaurl") == 0 && strcmp(attribute(attributes, "mediatype"), "torrent") == 0 && *attribute(attributes, "name") == 0)
        return begin_url(r, attributes, PART_TORRENT);
    return PART_NONE;
}

static void on_start(void *ctx, const char *name, const char **attributes)
{
    struct reader *r = ctx;
    if (r->err != ERR_OK)
        return;
    if (r->depth == DEPTH_MAX) {
        fail(r, ERR_TOO_LONG, "too deep");
        return;
    }
    const enum part what = part_of(r, name, attributes);
    r->parts[r->depth++] = what;
    r->text_n = 0;
}

static void on_text(void *ctx, const char *text, int n)
{
    struct reader *r = ctx;
    if (r->err != ERR_OK || r->depth == 0 || r->parts[r->depth - 1] < PART_SIZE || r->parts[r->depth - 1] == PART_PIECES)
        return;
    if ((size_t)n > METALINK_TEXT_MAX - r->text_n) {
        fail(r, ERR_TOO_LONG, "a text is too long");
        return;
    }
    memcpy(r->text + r->text_n, text, (size_t)n);
    r->text_n += (size_t)n;
}

// Without the white space around it.
static char *trimmed(struct reader *r)
{
    char *at = r->text;
    while (r->text_n != 0 && strchr(" \t\r\n", r->text[r->text_n - 1]) != NULL)
        r->text_n--;
    r->text[r->text_n] = 0;
    while (*at != 0 && strchr(" \t\r\n", *at) != NULL)
        at++;
    return at;
}

static void end_piece(struct reader *r, const char *text)
{
    struct metalink_file *f = r->file;
    if (f->pieces_n == f->pieces_cap) {
        const uint32_t cap = f->pieces_cap == 0 ? 64 : f->pieces_cap * 2;
        uint8_t *more = realloc(f->pieces, (size_t)cap * SHA1_LEN);
        if (more == NULL) {
            fail(r, ERR_NOMEM, "out of memory");
            return;
        }
        f->pieces = more;
        f->pieces_cap = cap;
    }
    if (hex_parse(slice_str(text), f->pieces + (size_t)f->pieces_n * SHA1_LEN, SHA1_LEN) == ERR_OK)
        f->pieces_n++;
    else
        fail(r, ERR_SYNTAX, "a piece's hash is not one of SHA-1");
}

// The best come first, equal ones in the document's order; of too many the last go.
static void end_url(struct reader *r, struct metalink_url *all, uint32_t *n, const char *text)
{
    uint32_t at = *n;
    while (at > 0 && all[at - 1].priority > r->priority)
        at--;
    if (*text == 0 || at == METALINK_URLS_MAX)
        return;
    char *copy = strdup(text);
    if (copy == NULL) {
        fail(r, ERR_NOMEM, "out of memory");
        return;
    }
    if (*n == METALINK_URLS_MAX)
        free(all[--*n].text);
    memmove(all + at + 1, all + at, (*n - at) * sizeof *all);
    all[at] = (struct metalink_url){copy, r->priority};
    ++*n;
}

static void on_end(void *ctx, const char *name)
{
    struct reader *r = ctx;
    (void)name;
    if (r->err != ERR_OK)
        return;
    const enum part what = r->parts[--r->depth];
    struct metalink_file *const f = r->file;
    const char *const text = what >= PART_SIZE ? trimmed(r) : "";
    r->text_n = 0;
    switch (what) {
    case PART_NONE: case PART_ROOT: case PART_FILE: case PART_PIECES: break;
    case PART_SIZE:
        if (!number(text, INT64_MAX, &f->size))
            fail(r, ERR_SYNTAX, "a size is no number");
        break;
    case PART_SUM_1:
        if (f->sum_n == 0 && hex_parse(slice_str(text), f->sum, SHA1_LEN) == ERR_OK)
            f->sum_n = SHA1_LEN;
        break;
    case PART_SUM_256:
        if (hex_parse(slice_str(text), f->sum, SHA256_LEN) != ERR_OK)
            fail(r, ERR_SYNTAX, "a hash is not one of SHA-256");
        f->sum_n = SHA256_LEN;
        break;
    case PART_PIECE: end_piece(r, text); break;
    case PART_URL: end_url(r, f->urls, &f->urls_n, text); break;
    case PART_TORRENT: end_url(r, f->torrents, &f->torrents_n, text); break;
    }
}

static void on_doctype(void *ctx, const char *name, const char *system, const char *public, int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    fail(ctx, ERR_SYNTAX, "a document type is not wanted");
}

enum err metalink_parse(struct metalink *out, struct slice text, char why[METALINK_WHY_MAX])
{
    *out = (struct metalink){0};
    why[0] = 0;
    if (text.n > METALINK_BYTES_MAX)
        return ERR_TOO_LONG;
    struct reader *r = calloc(1, sizeof *r);
    XML_Parser xml = XML_ParserCreateNS(NULL, '|');
    enum err e = r == NULL || xml == NULL ? ERR_NOMEM : ERR_OK;
    if (e == ERR_OK) {
        *r = (struct reader){.xml = xml, .out = out, .why = why};
        XML_SetUserData(xml, r);
        XML_SetElementHandler(xml, on_start, on_end);
        XML_SetCharacterDataHandler(xml, on_text);
        XML_SetStartDoctypeDeclHandler(xml, on_doctype);
        const bool whole = XML_Parse(xml, (const char *)text.p, (int)text.n, XML_TRUE) == XML_STATUS_OK;
        if (!whole)
            fail(r, ERR_SYNTAX, XML_ErrorString(XML_GetErrorCode(xml)));
        e = r->err;
        if (e == ERR_OK && out->files_n == 0) {
            (void)snprintf(why, METALINK_WHY_MAX, "it names no file");
            e = ERR_SYNTAX;
        }
    }
    if (xml != NULL)
        XML_ParserFree(xml);
    free(r);
    if (e != ERR_OK)
        metalink_free(out);
    return e;
}

void metalink_free(struct metalink *m)
{
    for (uint32_t i = 0; i < m->files_n; i++) {
        struct metalink_file *f = &m->files[i];
        for (uint32_t k = 0; k < f->urls_n; k++)
            free(f->urls[k].text);
        for (uint32_t k = 0; k < f->torrents_n; k++)
            free(f->torrents[k].text);
        free(f->pieces);
        free(f->name);
    }
    free(m->files);
    *m = (struct metalink){0};
}

bool metalink_is_name(const char *path)
{
    static const char end[] = ".meta4";
    const size_t n = strlen(path);
    return n > sizeof end - 1 && strcmp(path + n - (sizeof end - 1), end) == 0;
}
