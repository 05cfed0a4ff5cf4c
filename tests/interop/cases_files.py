"""Torrent files: what kith makes beside what others make, what it says of them, and of broken ones."""
import hashlib
import json
import os

import bencode
import clients
import payload
from lab import Skipped, need, quiet

VECTORS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "vectors", "lt_test_torrents")


def info_hash(path):
    return hashlib.sha1(bencode.encode(bencode.decode(open(path, "rb").read())[b"info"])).hexdigest()


def create(lab, target, name, *options):
    out = lab.path(name)
    made = lab.run("create", [lab.options.kith, "create", target, "-o", out, *options])
    need(made.code == 0, "kith create: %d %s" % (made.code, made.errors()[-300:]))
    return out


def same_as(tool, command):
    """A private v1 torrent of one file has the same info-hash, whoever makes it."""
    def run(lab):
        if not clients.installed(tool):
            raise Skipped("%s is not installed" % tool)
        target = payload.path_of(lab.root, "single")
        theirs = lab.path("theirs.torrent")
        done = lab.run(tool, [tool] + [x.format(out=theirs, path=target) for x in command])
        need(done.code == 0, "%s failed" % tool)
        ours = create(lab, target, "ours.torrent", "--v1", "--private", "--piece-length", "262144", "--tracker", "http://10.77.0.1/a")
        need(info_hash(ours) == info_hash(theirs), "the info-hashes differ")
    return run


def same_as_libtorrent(shape, version):
    """v2 and hybrid have one canonical form (BEP 52), so that the info dictionaries agree byte for byte."""
    def run(lab):
        target = payload.path_of(lab.root, shape)
        try:
            theirs = bencode.decode(payload.with_libtorrent(target, version, 65536))
        except ImportError:
            raise Skipped("libtorrent is not installed") from None
        ours = bencode.decode(open(create(lab, target, "o.torrent", "--" + version, "--piece-length", "65536"), "rb").read())
        if version == "v1":                 # the order of files is free there
            need(sorted(f[b"path"] for f in ours[b"info"].get(b"files", [])) == sorted(f[b"path"] for f in theirs[b"info"].get(b"files", [])),
                 "other files")
        else:
            need(ours[b"info"].get(b"file tree") == theirs[b"info"][b"file tree"], "the file trees differ")
            need(ours.get(b"piece layers") == theirs.get(b"piece layers"), "the piece layers differ")
            if version == "v2" or shape == "single":
                need(bencode.encode(ours[b"info"]) == bencode.encode(theirs[b"info"]), "the info dictionaries differ")
    return run


def libtorrent_accepts(shape, version):
    """libtorrent loads what kith makes, checks the content against it and finds it complete."""
    def run(lab):
        if not clients.installed("lt"):
            raise Skipped("libtorrent is not installed")
        target = payload.path_of(lab.root, shape)
        torrent = create(lab, target, "o.torrent", "--" + version)
        checked = lab.run("check", [clients.PYTHON, os.path.join(clients.HERE, "lt_client.py"), "check", torrent,
                                    os.path.dirname(target), lab.ip(2), 20001, "tcp"], seconds=30)
        need(checked.code == 0, checked.errors()[-300:])
    return run


def create_fields(lab):
    """Trackers, tiers, web seeds, the private flag and the piece length arrive in the file."""
    target = payload.path_of(lab.root, "small")
    urls = ["http://10.77.0.1:1/announce", "udp://10.77.0.1:2"]
    path = create(lab, target, "o.torrent", "--v1", "--piece-length", "32768", "--tracker", urls[0], "--tracker", urls[1],
                  "--web-seed", "http://10.77.0.1/small.bin", "--private")
    data = bencode.decode(open(path, "rb").read())
    need(bencode.encode(data) == open(path, "rb").read(), "the file is not canonical bencoding")
    need(data[b"info"][b"piece length"] == 32768 and data[b"info"].get(b"private") == 1, "piece length or private is wrong")
    listed = {url.decode() for tier in data.get(b"announce-list", []) for url in tier} | {data[b"announce"].decode()}
    need(listed == set(urls), "trackers: %s" % listed)
    seeds = data.get(b"url-list")
    need(seeds in (b"http://10.77.0.1/small.bin", [b"http://10.77.0.1/small.bin"]), "web seeds: %r" % (seeds,))
    need(data[b"info"] == {k.encode(): v for k, v in payload.v1_info(target, 32768, True).items()} | {b"name": b"small.bin"},
         "the info dictionary is not what it should be")


def show(lab):
    """`kith show` names the hashes and files; with --json it prints JSON."""
    for version in ("v1", "v2", "hybrid"):
        torrent = payload.torrent_of(lab.root, "multi", version)
        raw = bencode.encode(bencode.decode(open(torrent, "rb").read())[b"info"])
        said = lab.run("show", [lab.options.kith, "show", torrent])
        need(said.code == 0, said.errors()[-300:])
        hashes = ([hashlib.sha1(raw).hexdigest()] if version != "v2" else []) + ([hashlib.sha256(raw).hexdigest()] if version != "v1" else [])
        for h in hashes:
            need(h in said.output(), "%s: kith show does not name %s" % (version, h))
        for name in ("second.bin", "ünï cödé ☃.txt", "one.byte"):
            need(name in said.output(), "%s: kith show does not name %s" % (version, name))
        coded = lab.run("show-json", [lab.options.kith, "show", torrent, "--json"])
        need(coded.code == 0, coded.errors()[-300:])
        objects = [json.loads(line) for line in coded.output().splitlines() if line.strip().startswith("{") and line.strip().endswith("}")] \
            or [json.loads(coded.output())]
        need(all(h in json.dumps(objects) for h in hashes), "%s: kith show --json does not name the hashes" % version)


def verify(lab):
    """`kith verify`: 0 for good content, 6 for one flipped bit, for a missing and for a short file."""
    target = payload.path_of(lab.root, "multi")
    copy = lab.path("copy/multi")
    for version in ("v1", "v2", "hybrid"):
        torrent = payload.torrent_of(lab.root, "multi", version)
        lab.run("rm", ["rm", "-rf", lab.path("copy")])
        os.makedirs(lab.path("copy"))
        lab.run("cp", ["cp", "-r", target, copy])
        good = lab.run("verify", [lab.options.kith, "verify", torrent, lab.path("copy")])
        need(good.code == 0, "%s: good content gives %d %s" % (version, good.code, good.errors()[-300:]))
        victim = os.path.join(copy, "a/b/second.bin")
        with open(victim, "r+b") as f:
            f.seek(1234567)
            byte = f.read(1)[0]
            f.seek(1234567)
            f.write(bytes([byte ^ 4]))
        expect_six(lab, torrent, version + ": a flipped bit")
        with open(victim, "r+b") as f:
            f.seek(1234567)
            f.write(bytes([byte]))
            f.truncate(5 * payload.MIB - 8)
        said = expect_six(lab, torrent, version + ": a short file")
        need("(5242872 bytes, should be 5242873)" in said, "%s: a short file: %s" % (version, said))
        os.unlink(victim)
        expect_six(lab, torrent, version + ": a missing file")


def expect_six(lab, torrent, what):
    bad = lab.run("verify", [lab.options.kith, "verify", torrent, lab.path("copy")])
    need(bad.code == 6, "%s gives %d, not 6" % (what, bad.code))
    return bad.output()


def usage(lab):
    """Wrong command lines: exit code 2, something on stderr, nothing on stdout."""
    for words in (["frobnicate"], ["get"], ["get", "--no-such-option", "x"], ["create"], ["verify"], ["show"], ["get", "x.torrent", "--port", "99999"],
                  ["create", "/", "--piece-length", "12345", "-o", lab.path("x")]):
        proc = lab.run("usage", [lab.options.kith, *words])
        need(proc.code == 2, "kith %s: exit code %d, not 2" % (" ".join(words), proc.code))
        need(proc.errors().strip() and not proc.output().strip(), "kith %s: an error belongs on stderr" % " ".join(words))
    for words in (["help"], ["version"], ["--help"], ["get", "--help"]):
        proc = lab.run("help", [lab.options.kith, *words])
        need(proc.code == 0 and proc.output().strip(), "kith %s: exit code %d" % (" ".join(words), proc.code))
    codes = lab.run("help", [lab.options.kith, "help", "exit"])
    need(codes.code == 0 and "wrong usage" in codes.output(), "kith help exit: " + codes.output())
    gone = lab.run("gone", [lab.options.kith, "show", lab.path("no-such.torrent")])
    need(gone.code in (1, 3) and len(gone.errors().splitlines()) == 1, "a missing file: %d, %s" % (gone.code, gone.errors()))


def refused(lab, program, words, what):
    proc = lab.run("bad", [program, *words], seconds=30)
    text = proc.errors().strip()
    need(proc.code in (6, 2), "%s: exit code %d, not 6 or 2: %s" % (what, proc.code, text[-300:]))
    need(len(text.splitlines()) == 1, "%s: not one line on stderr: %s" % (what, text[-300:]))
    return text


def broken_torrents(lab):
    """Each broken torrent of libtorrent's collection gives one clear line and exit code 6 or 2; the good ones are shown."""
    if not os.path.isdir(VECTORS):
        raise Skipped("tests/vectors/lt_test_torrents is not there")
    program = lab.options.asan or lab.options.kith
    wrong, broken, good = [], 0, 0
    for line in open(os.path.join(VECTORS, "EXPECTED.tsv"), encoding="utf-8").read().splitlines()[1:]:
        name, verdict = line.split("\t")[:2]
        path = os.path.join(VECTORS, name)
        if not os.path.isfile(path):
            wrong.append("%s is not there" % name)
        elif verdict == "error":
            broken += 1
            refused(lab, program, ["show", path], "show " + name)
            refused(lab, program, ["get", path, "-o", lab.path("o"), "--listen", lab.ip(2), *quiet()], "get " + name)
        else:
            good += 1
            proc = lab.run("good", [program, "show", path], seconds=30)
            if proc.code != 0:
                wrong.append("%s should be good: %d %s" % (name, proc.code, proc.errors().strip()[-200:]))
    need(not wrong, "; ".join(wrong))
    need(broken >= 20 and good >= 20, "the list of torrents is too short")
    lab.notes.append("%d broken, %d good" % (broken, good))


def damaged_torrents(lab):
    """A good torrent cut anywhere, or with a byte changed anywhere: never a crash, never silence."""
    program = lab.options.asan or lab.options.kith
    whole = open(payload.torrent_of(lab.root, "small", "hybrid", 262144), "rb").read()
    path = lab.path("damaged.torrent")
    cuts = [whole[:n] for n in range(0, len(whole), max(1, len(whole) // 40))]
    flips = [whole[:n] + bytes([whole[n] ^ (1 << n % 8)]) + whole[n + 1:] for n in range(0, len(whole), max(1, len(whole) // 60))]
    for n, data in enumerate(cuts + flips):
        with open(path, "wb") as f:
            f.write(data)
        if n < len(cuts):
            refused(lab, program, ["show", path], "cut to %d bytes" % len(data))
        else:
            proc = lab.run("flip", [program, "show", path], seconds=30)
            need(proc.code in (0, 2, 6), "flip %d: exit code %d %s" % (n, proc.code, proc.errors()[-300:]))


def cases():
    out = [
        ("create/like-mktorrent", same_as("mktorrent", ["-p", "-l", "18", "-a", "http://10.77.0.1/a", "-o", "{out}", "{path}"]), 60),
        ("create/like-transmission", same_as("transmission-create",
                                             ["-p", "-s", "256", "-t", "http://10.77.0.1/a", "-o", "{out}", "{path}"]), 60),
        ("create/fields", create_fields, 60), ("files/show", show, 60), ("files/verify", verify, 90), ("files/usage", usage, 60),
        ("bad/broken-torrents", broken_torrents, 120), ("bad/damaged-torrents", damaged_torrents, 120),
    ]
    for version in ("v1", "v2", "hybrid"):
        for shape in ("single", "multi"):
            out.append(("create/like-libtorrent/%s-%s" % (version, shape), same_as_libtorrent(shape, version), 60))
            out.append(("create/libtorrent-accepts/%s-%s" % (version, shape), libtorrent_accepts(shape, version), 60))
    return out
