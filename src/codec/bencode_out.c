// The canonical writer of bencode.h: keys in order, each once. BEP 3.
#include "codec/bencode.h"

void bencode_out_init(struct bencode_out *o, struct wr *w)
{
    o->w = w;
    o->depth = 0;
}

static void open_level(struct bencode_out *o, bool is_dict)
{
    ASSERT(o->depth < BENCODE_DEPTH_MAX);
    wr_u8(o->w, is_dict ? 'd' : 'l');
    o->level[o->depth].is_dict = is_dict;
    o->level[o->depth].any = false;
    o->depth++;
}

void bencode_put_dict(struct bencode_out *o) { open_level(o, true); }
void bencode_put_list(struct bencode_out *o) { open_level(o, false); }

void bencode_put_end(struct bencode_out *o)
{
    ASSERT(o->depth > 0);
    o->depth--;
    wr_u8(o->w, 'e');
}

void bencode_put_key(struct bencode_out *o, struct slice key)
{
    ASSERT(o->depth > 0);
    const uint32_t top = o->depth - 1;
    ASSERT(o->level[top].is_dict);
    bencode_put_str(o, key);
    if (!o->w->ok)
        return;                         // the buffer does not hold the keys any more
    const struct buf *b = o->w->b;
    if (o->level[top].any)
        ASSERT(slice_cmp(slice_of(b->p + o->level[top].key_at, o->level[top].key_n), key) < 0);
    o->level[top].any = true;
    o->level[top].key_at = b->n - key.n;
    o->level[top].key_n = key.n;
}

void bencode_put_int(struct bencode_out *o, int64_t v)
{
    wr_u8(o->w, 'i');
    wr_dec_signed(o->w, v);
    wr_u8(o->w, 'e');
}

void bencode_put_str_head(struct bencode_out *o, size_t n)
{
    wr_dec(o->w, n);
    wr_u8(o->w, ':');
}

void bencode_put_str(struct bencode_out *o, struct slice s)
{
    bencode_put_str_head(o, s.n);
    wr_bytes(o->w, s);
}

void bencode_put_raw(struct bencode_out *o, struct slice raw)
{
    ASSERT(raw.n != 0);
    wr_bytes(o->w, raw);
}

void bencode_put_key_int(struct bencode_out *o, const char *key, int64_t v)
{
    bencode_put_key(o, slice_str(key));
    bencode_put_int(o, v);
}

void bencode_put_key_str(struct bencode_out *o, const char *key, struct slice s)
{
    bencode_put_key(o, slice_str(key));
    bencode_put_str(o, s);
}

void bencode_put_key_dict(struct bencode_out *o, const char *key)
{
    bencode_put_key(o, slice_str(key));
    bencode_put_dict(o);
}

void bencode_put_key_list(struct bencode_out *o, const char *key)
{
    bencode_put_key(o, slice_str(key));
    bencode_put_list(o);
}
