// DNS messages: see dns.h.
#include "codec/dns.h"

#include "base/fold.h"

enum { CLASS_IN = 1, LABEL_MAX = 63, POINTER = 0xc0, HEADER_LEN = 12 };

// Takes the next label off a name; an empty one is an error, but for a point at the very end.
static bool next_label(struct slice *name, struct slice *out)
{
    const uint8_t *dot = name->n == 0 ? NULL : memchr(name->p, '.', name->n);
    const size_t n = dot == NULL ? name->n : (size_t)(dot - name->p);
    *out = slice_sub(*name, 0, n);
    *name = slice_sub(*name, n + (dot != NULL), name->n);
    return n != 0 && n <= LABEL_MAX;
}

enum err dns_question_write(struct wr *w, uint16_t id, struct slice name, uint16_t type)
{
    if (name.n == 0 || name.n > DNS_NAME_MAX)
        return ERR_SYNTAX;
    wr_be16(w, id);
    wr_be16(w, 0x0100);                 // recursion desired
    wr_be16(w, 1);
    wr_be16(w, 0);
    wr_be32(w, 0);
    while (name.n != 0) {
        struct slice label;
        if (!next_label(&name, &label))
            return ERR_SYNTAX;
        for (size_t i = 0; i < label.n; i++)
            if (label.p[i] <= ' ' || label.p[i] >= 0x7f)
                return ERR_SYNTAX;
        wr_u8(w, u8_of(label.n));
        wr_bytes(w, label);
    }
    wr_u8(w, 0);
    wr_be16(w, type);
    wr_be16(w, CLASS_IN);
    return w->ok ? ERR_OK : ERR_TOO_LONG;
}

// Passes over a name in a record; a pointer ends it.
static void skip_name(struct rd *r)
{
    for (uint32_t i = 0; i < DNS_NAME_MAX && r->ok; i++) {
        const uint8_t n = rd_u8(r);
        if (n == 0)
            return;
        if ((n & POINTER) == POINTER) {
            (void)rd_u8(r);
            return;
        }
        if ((n & POINTER) != 0)
            break;
        (void)rd_bytes(r, n);
    }
    r->ok = false;
}

// The question must be the one that was asked: it is what a stranger has to guess beside the id.
static bool question_is(struct rd *r, struct slice name, uint16_t type)
{
    while (name.n != 0) {
        struct slice label;
        if (!next_label(&name, &label))
            return false;
        const struct slice got = rd_bytes(r, rd_u8(r));
        if (!r->ok || !fold_eq(got, label))
            return false;
    }
    const bool ends = rd_u8(r) == 0;
    const bool same = rd_be16(r) == type;
    return rd_be16(r) == CLASS_IN && ends && same && r->ok;
}

static void record(struct rd *r, uint16_t type, struct dns_answer *a)
{
    skip_name(r);
    const uint16_t got = rd_be16(r), class_of = rd_be16(r);
    (void)rd_be32(r);
    const struct slice data = rd_bytes(r, rd_be16(r));
    if (!r->ok || got != type || class_of != CLASS_IN || a->n == ARRAY_LEN(a->addrs))
        return;
    if (type == DNS_A && data.n == 4)
        a->addrs[a->n++] = addr_ipv4(data.p, 0);
    if (type == DNS_AAAA && data.n == 16)
        a->addrs[a->n++] = addr_ipv6(data.p, 0);
}

enum err dns_answer_parse(struct slice message, uint16_t id, struct slice name, uint16_t type, struct dns_answer *out)
{
    struct rd r = rd_make(message);
    struct dns_answer a = {.id = rd_be16(&r)};
    const uint16_t flags = rd_be16(&r), questions = rd_be16(&r), answers = rd_be16(&r);
    (void)rd_be32(&r);
    if (!r.ok || a.id != id || (flags & 0x8000) == 0 || (flags & 0x7800) != 0 || questions != 1 || !question_is(&r, name, type))
        return ERR_PROTOCOL;
    a.rcode = flags & 15;
    a.truncated = (flags & 0x0200) != 0;
    for (uint32_t i = 0; i < u32_min(answers, DNS_RECORDS_MAX) && r.ok; i++)
        record(&r, type, &a);
    if (!r.ok && !a.truncated)
        return ERR_PROTOCOL;
    *out = a;
    return ERR_OK;
}
