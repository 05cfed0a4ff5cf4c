"""Bencoding, for the harness only: whole trees, canonical on the way out."""


def decode_at(b, i):
    c = b[i:i + 1]
    if c == b"i":
        end = b.index(b"e", i)
        return int(b[i + 1:end]), end + 1
    if c == b"l":
        out, i = [], i + 1
        while b[i:i + 1] != b"e":
            value, i = decode_at(b, i)
            out.append(value)
        return out, i + 1
    if c == b"d":
        out, i = {}, i + 1
        while b[i:i + 1] != b"e":
            key, i = decode_at(b, i)
            out[key], i = decode_at(b, i)
        return out, i + 1
    colon = b.index(b":", i)
    n = int(b[i:colon])
    if n < 0 or colon + 1 + n > len(b):
        raise ValueError("string past the end")
    return b[colon + 1:colon + 1 + n], colon + 1 + n


def decode(b):
    value, end = decode_at(b, 0)
    if end != len(b):
        raise ValueError("bytes after the end")
    return value


def encode(v):
    if isinstance(v, bool):
        raise TypeError("bool")
    if isinstance(v, int):
        return b"i%de" % v
    if isinstance(v, str):
        v = v.encode()
    if isinstance(v, bytes):
        return b"%d:%s" % (len(v), v)
    if isinstance(v, list):
        return b"l" + b"".join(map(encode, v)) + b"e"
    keys = {k.encode() if isinstance(k, str) else k: k for k in v}
    return b"d" + b"".join(encode(k) + encode(v[keys[k]]) for k in sorted(keys)) + b"e"
