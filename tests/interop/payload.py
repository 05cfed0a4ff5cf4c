"""What is transferred: content that is the same on every machine, torrents of it, and the comparison afterwards."""
import hashlib
import os
import random
import threading

import bencode

MIB = 1 << 20
# name -> files as (path, size); one file without a folder is a single-file torrent
SHAPES = {
    "single": [("single.bin", 32 * MIB + 12345)],
    "small": [("small.bin", 3 * MIB + 1)],
    "big": [("big.bin", 96 * MIB)],
    "multi": [
        ("a/first.bin", 10 * MIB + 1), ("a/b/second.bin", 5 * MIB - 7), ("a/b/c/d/deep.bin", 777777),
        ("empty.dat", 0), ("one.byte", 1), ("block.bin", 16384), ("piece.bin", 256 * 1024), ("z/last.bin", 13 * MIB + 511),
        ("z/empty too", 0), ("ünï cödé ☃.txt", 4099), ("name with  blanks.txt", 33), ("-dash.txt", 5),
    ] + [("many/%02d.bin" % i, 1 + i * 1237) for i in range(40)],
}
lock = threading.Lock()


def path_of(root, shape):
    """Where the content of a shape is, and made if it is not there: a file, or a folder."""
    files = SHAPES[shape]
    single = len(files) == 1
    target = os.path.join(root, "data", files[0][0] if single else shape)
    with lock:
        if os.path.exists(target + ".made"):
            return target
        for path, size in files:
            full = target if single else os.path.join(target, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as f:
                f.write(random.Random("%s/%s" % (shape, path)).randbytes(size))
        open(target + ".made", "w").close()
    return target


def v1_info(target, piece_length, private=False):
    """The info dictionary of a v1 torrent, by hand, so that no program under test has a say in it."""
    files, pieces = [], []
    single = os.path.isfile(target)
    piece, room = hashlib.sha1(), piece_length
    for path in [target] if single else walk(target):
        files.append({"length": os.path.getsize(path), "path": os.path.relpath(path, target).split("/")})
        with open(path, "rb") as f:
            while True:
                data = f.read(room)
                if not data:
                    break
                piece.update(data)
                room -= len(data)
                if room == 0:
                    pieces.append(piece.digest())
                    piece, room = hashlib.sha1(), piece_length
    if room < piece_length:
        pieces.append(piece.digest())
    info = {"name": os.path.basename(target), "piece length": piece_length, "pieces": b"".join(pieces)}
    info.update({"length": files[0]["length"]} if single else {"files": files})
    if private:
        info["private"] = 1
    return info


def walk(target):
    """All files under a folder, in the order of their path components."""
    out = []
    for folder, folders, names in os.walk(target):
        folders.sort()
        out += [os.path.join(folder, name) for name in names]
    return sorted(out, key=lambda p: os.path.relpath(p, target).split("/"))


def torrent_of(root, shape, version, piece_length=256 * 1024):
    """A torrent file without trackers: v1 by hand, v2 and hybrid by libtorrent."""
    target = path_of(root, shape)
    out = os.path.join(root, "data", "%s-%s-%d.torrent" % (shape, version, piece_length))
    with lock:
        if not os.path.exists(out):
            if version == "v1":
                made = bencode.encode({"info": v1_info(target, piece_length)})
            else:
                made = with_libtorrent(target, version, piece_length)
            with open(out + ".part", "wb") as f:
                f.write(made)
            os.rename(out + ".part", out)
    return out


def with_libtorrent(target, version, piece_length):
    import libtorrent as lt
    files = lt.file_storage()
    lt.add_files(files, target)
    flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}[version]
    made = lt.create_torrent(files, piece_size=piece_length, flags=flags)
    lt.set_piece_hashes(made, os.path.dirname(target))
    return bytes(lt.bencode(made.generate()))


def with_trackers(torrent, out, tiers, extra=None):
    """A copy of a torrent that names trackers; the info dictionary keeps its bytes."""
    data = bencode.decode(open(torrent, "rb").read())
    if tiers:
        data[b"announce"] = tiers[0][0].encode()
        data[b"announce-list"] = [[url.encode() for url in tier] for tier in tiers]
    data.update(extra or {})
    with open(out, "wb") as f:
        f.write(bencode.encode(data))
    return out


def info_hashes(torrent):
    """The hashes that trackers are asked for: v1, and v2 cut to 20 bytes, those that exist."""
    data = bencode.decode(open(torrent, "rb").read())
    raw = bencode.encode(data[b"info"])
    out = []
    if b"pieces" in data[b"info"]:
        out.append(hashlib.sha1(raw).digest())
    if data[b"info"].get(b"meta version") == 2:
        out.append(hashlib.sha256(raw).digest()[:20])
    return out


def differences(want, got, strict=True, empty=True):
    """What is wrong with the copy `got` of `want`: missing (without `empty`: unless empty), different, with strict also surplus."""
    if os.path.isfile(want):
        if not os.path.isfile(got):
            return ["%s is missing" % got]
        return [] if same(want, got) else ["%s differs" % got]
    out = []
    names = {os.path.relpath(p, want) for p in walk(want)}
    for name in sorted(names):
        if not os.path.isfile(os.path.join(got, name)):
            if empty or os.path.getsize(os.path.join(want, name)) > 0:
                out.append("%s is missing" % name)
        elif not same(os.path.join(want, name), os.path.join(got, name)):
            out.append("%s differs" % name)
    if strict:
        out += ["%s is too much" % n for n in sorted({os.path.relpath(p, got) for p in walk(got)} - names)]
    return out


def same(a, b):
    if os.path.getsize(a) != os.path.getsize(b):
        return False
    with open(a, "rb") as f, open(b, "rb") as g:
        while True:
            x, y = f.read(MIB), g.read(MIB)
            if x != y:
                return False
            if not x:
                return True
