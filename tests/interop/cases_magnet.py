"""Magnet links: from and to other programs, with nothing but the link; v1, v2 and hybrid; killed and begun again."""
import hashlib
import os
import signal
import time
import urllib.parse
import urllib.request

import bencode
import clients
import payload
from cases_transfer import LEECH_PORT, SEED_PORT, compare, data_folder
from lab import Skipped, need, quiet


def link_of(torrent, which=("v1", "v2"), trackers=(), peers=(), more=""):
    """The magnet link of a torrent file, made here and not by a program under test."""
    info = bencode.decode(open(torrent, "rb").read())[b"info"]
    raw = bencode.encode(info)
    topics = []
    if b"pieces" in info and "v1" in which:
        topics.append("xt=urn:btih:" + hashlib.sha1(raw).hexdigest())
    if info.get(b"meta version") == 2 and "v2" in which:
        topics.append("xt=urn:btmh:1220" + hashlib.sha256(raw).hexdigest())
    rest = ["dn=" + urllib.parse.quote(info[b"name"])] + ["tr=" + urllib.parse.quote(t, safe="") for t in trackers]
    return "magnet:?" + "&".join(topics + rest + ["x.pe=" + p for p in peers]) + more


def by_link(seed, leech, shape="multi", version="v1", which=("v1", "v2"), tracker=False):
    """One seed with the torrent file, one leech with the link; the link names the seed, or a tracker that both know."""
    def run(lab):
        for kind in (seed, leech):
            if kind != "kith" and not clients.installed(kind):
                raise Skipped("%s is not installed" % clients.NAMES[kind])
        target = payload.path_of(lab.root, shape)
        plain = payload.torrent_of(lab.root, shape, version)
        where, urls = None, []
        if tracker:
            where = clients.Tracker(lab, "kith", lab.ip(1), payload.info_hashes(plain))
            urls = [where.url("http")]
        torrent = payload.with_trackers(plain, lab.path("t.torrent"), [[u] for u in urls])
        out = lab.path("out")
        os.makedirs(out)
        seeder = clients.KINDS[seed](lab, "seed", torrent, data_folder(lab, seed, target), lab.ip(2), SEED_PORT)
        seeder.start()
        lab.until("the seed (%s) is ready" % seed, seeder.done)
        peers = [] if tracker else ["%s:%d" % (lab.ip(2), SEED_PORT)]
        link = link_of(plain, which, urls, peers)
        leecher = clients.KINDS[leech](lab, "leech", link, out, lab.ip(3), LEECH_PORT, stay=leech not in ("kith", "ar"))
        leecher.start()
        lab.until("the leech (%s) is complete" % leech, leecher.done)
        compare(target, out, leech)
        leecher.finish()
        seeder.finish()
        if where:
            where.finish()
    return run


def selected_by_the_link(lab):
    """so=: only these files, by index; the rest is not fetched."""
    target = payload.path_of(lab.root, "multi")
    torrent = payload.torrent_of(lab.root, "multi", "v1")
    seeder = clients.Kith(lab, "seed", torrent, target, lab.ip(2), SEED_PORT)
    seeder.start()
    lab.until("kith share is ready", seeder.done)
    files = [os.path.relpath(p, target) for p in payload.walk(target)]
    wanted = [files.index("z/last.bin"), files.index("block.bin")]
    link = link_of(torrent, peers=["%s:%d" % (lab.ip(2), SEED_PORT)], more="&so=%d,%d" % tuple(wanted))
    leecher = clients.Kith(lab, "leech", link, lab.path("out"), lab.ip(3), LEECH_PORT, stay=False)
    leecher.start()
    lab.until("kith get is complete", leecher.done)
    for i in wanted:
        need(payload.same(os.path.join(target, files[i]), os.path.join(lab.path("out"), "multi", files[i])), "%s differs" % files[i])
    rest = os.path.join(lab.path("out"), "multi", "a/first.bin")
    need(not os.path.exists(rest) or os.stat(rest).st_blocks * 512 < 1 << 20, "a file that was not selected was fetched")
    seeder.finish()


def killed_and_begun_again(lab):
    """kill -9 in the middle: the same command goes on without asking for the metadata again, and --save-torrent has it."""
    target = payload.path_of(lab.root, "single")
    torrent = payload.torrent_of(lab.root, "single", "v1")
    seeder = clients.Kith(lab, "seed", torrent, target, lab.ip(2), SEED_PORT)
    seeder.extra = ("--up", "8M")
    seeder.start()
    lab.until("kith share is ready", seeder.done)
    link = link_of(torrent, peers=["%s:%d" % (lab.ip(2), SEED_PORT)])
    saved = lab.path("saved.torrent")
    first = clients.Kith(lab, "leech", link, lab.path("out"), lab.ip(3), LEECH_PORT, stay=False)
    first.extra = ("--save-torrent", saved)
    first.start()
    got = os.path.join(lab.path("out"), "single.bin")
    lab.until("some of it is there", lambda: os.path.exists(got) and os.stat(got).st_blocks * 512 > 4 << 20)
    time.sleep(6)                       # resume data is saved every 5 s
    first.proc.popen.send_signal(signal.SIGKILL)
    first.proc.popen.wait()
    need(payload.info_hashes(saved) == payload.info_hashes(torrent), "--save-torrent wrote another torrent")
    again = clients.Kith(lab, "leech", link, lab.path("out"), lab.ip(3), LEECH_PORT, stay=False)
    again.extra = ("--json", "--progress", "none")
    again.start()
    lab.until("kith get is complete", again.done)
    compare(target, lab.path("out"), "kith")
    need('"type":"metadata"' not in again.proc.output().replace(" ", ""), "the metadata was fetched again")
    seeder.finish()


def shared_link_works(lab):
    """What `kith share` prints is enough for `kith get`, with a tracker; and --json has it too."""
    target = payload.path_of(lab.root, "small")
    where = clients.Tracker(lab, "kith", lab.ip(1), [])
    share = lab.start("share", [lab.options.kith, "share", target, "-o", lab.path("s.torrent"), "--tracker", where.url("http"), "--listen",
                                lab.ip(2), "--port", SEED_PORT, *quiet(), "--state", lab.path("s")])
    lab.until("a link is printed", lambda: "magnet:" in share.output() and share.output().endswith("\n"))
    link = share.output().split("\n")[0]
    leecher = clients.Kith(lab, "leech", link, lab.path("out"), lab.ip(3), LEECH_PORT, stay=False)
    leecher.start()
    lab.until("kith get is complete", leecher.done)
    compare(target, lab.path("out"), "kith")
    share.stop()
    where.finish()


def other_hash_is_announced(lab):
    """A hybrid by its v1 link: as soon as the metadata is there the tracker hears of its v2 hash, too."""
    plain = payload.torrent_of(lab.root, "single", "hybrid")
    tracker = clients.Tracker(lab, "kith", lab.ip(1), [])
    torrent = payload.with_trackers(plain, lab.path("t.torrent"), [[tracker.url("http")]])
    seeder = clients.Kith(lab, "seed", torrent, payload.path_of(lab.root, "single"), lab.ip(2), SEED_PORT)
    seeder.start()
    lab.until("kith share is ready", seeder.done)
    leecher = clients.Kith(lab, "leech", link_of(plain, ("v1",), [tracker.url("http")]), lab.path("out"), lab.ip(3), LEECH_PORT)
    leecher.start()

    def peers_of(info_hash):
        url = tracker.url("http").replace("announce", "scrape") + "?info_hash=" + urllib.parse.quote(info_hash)
        with urllib.request.urlopen(url, timeout=5) as answer:
            files = bencode.decode(answer.read())[b"files"]
        return sum(files.get(info_hash, {}).get(k, 0) for k in (b"complete", b"incomplete"))
    for info_hash in payload.info_hashes(plain):
        lab.until("both are known by " + info_hash.hex(), lambda h=info_hash: peers_of(h) == 2, 10)
    leecher.finish()
    seeder.finish()
    tracker.finish()


def layers_are_kept(lab):
    """A v2 torrent file without piece layers, which peers give: the next command has them without asking, and knows what is on disk."""
    target = payload.path_of(lab.root, "single")
    torrent, bare = payload.torrent_of(lab.root, "single", "v2"), lab.path("bare.torrent")
    tree = bencode.decode(open(torrent, "rb").read())
    del tree[b"piece layers"]
    with open(bare, "wb") as f:
        f.write(bencode.encode(tree))
    seeder = clients.Kith(lab, "seed", torrent, target, lab.ip(2), SEED_PORT)
    seeder.start()
    lab.until("kith share is ready", seeder.done)
    os.makedirs(lab.path("out"))
    get = [lab.options.kith, "get", bare, "-o", lab.path("out"), "--listen", lab.ip(3), "--no-port-map", "--timeout", "3s", *quiet()]
    first = lab.run("first", [*get, "--state", lab.path("a"), "--peer", "%s:%d" % (lab.ip(2), SEED_PORT)], 60)
    need(first.code == 0, "not fetched: %s" % first.errors()[-300:])
    seeder.finish()
    again = lab.run("again", [*get, "--state", lab.path("a"), "--check"], 60)
    need(again.code == 0 and "were there already" in again.errors(), "exit %d: %s" % (again.code, again.errors()[-300:]))
    other = lab.run("other", [*get, "--state", lab.path("b"), "--check"], 60)
    need(other.code == 12, "without the layers it cannot know what is there: exit %d, %s" % (other.code, other.errors()[-300:]))


def cases():
    out = []
    for kind in ("kith", "lt", "ar", "tr"):
        for tracker in (False, True):
            name = "tracker" if tracker else "x.pe"
            out.append(("magnet/%s-to-kith/%s" % (kind, name), by_link(kind, "kith", tracker=tracker), 90))
            # aria2 and transmission 3.00 know no x.pe
            if kind != "kith" and (tracker or kind == "lt"):
                out.append(("magnet/kith-to-%s/%s" % (kind, name), by_link("kith", kind, tracker=tracker), 90))
    for which in (("v1",), ("v2",), ("v1", "v2")):
        name = "+".join(which)
        out.append(("magnet/lt-to-kith/hybrid-by-%s" % name, by_link("lt", "kith", version="hybrid", which=which), 90))
        out.append(("magnet/kith-to-lt/hybrid-by-%s" % name, by_link("kith", "lt", version="hybrid", which=which), 90))
    out.append(("magnet/lt-to-kith/v2", by_link("lt", "kith", version="v2"), 90))
    out.append(("magnet/kith-to-lt/v2", by_link("kith", "lt", version="v2"), 90))
    out.append(("magnet/kith-to-kith/v2", by_link("kith", "kith", version="v2"), 90))
    out.append(("magnet/selected", selected_by_the_link, 60))
    out.append(("magnet/killed", killed_and_begun_again, 90))
    out.append(("magnet/other-hash", other_hash_is_announced, 90))
    out.append(("magnet/layers-are-kept", layers_are_kept, 90))
    out.append(("magnet/shared-link", shared_link_works, 60))
    return out
