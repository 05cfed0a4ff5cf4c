"""Several torrents in one process: both ways with other programs, the queue, goals of seeding, limits, super-seeding."""
import json
import os
import signal
import struct
import time

import clients
import payload
from lab import Skipped, need
from peer import BLOCK, INTERESTED, PIECE, REQUEST, Peer
from payload import MIB

PORT = 20001
SHAPES = ("single", "multi")


def installed(*kinds):
    for kind in kinds:
        if kind != "kith" and not clients.installed(kind):
            raise Skipped("%s is not installed" % clients.NAMES[kind])


def kith(lab, name, ip, words, extra=(), state=None):
    command = [lab.options.kith, *words, "--listen", ip, "--port", PORT, "--no-dht", "--no-lsd", "--no-port-map", "--json",
               "--state", state or lab.path("state-" + name), *extra]
    return lab.start("kith-" + name, command)


def events(proc, kind=None):
    found = []
    for line in proc.output().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break                       # the last one is being written
    return [e for e in found if kind is None or e["type"] == kind]


def ended(lab, proc, code, seconds=60):
    got = proc.wait(min(seconds, lab.left()))
    need(got == code, "kith ended with %s instead of %d: %s" % (got, code, proc.errors()[-300:]))


def same(lab, out, shapes=SHAPES):
    for shape in shapes:
        target = payload.path_of(lab.root, shape)
        wrong = payload.differences(target, os.path.join(out, os.path.basename(target)))
        need(not wrong, "; ".join(wrong[:5]))


def seeds_of(lab, kinds):
    """Each shape seeded by one of them; their addresses and the torrents."""
    where, torrents = [], []
    for i, (kind, shape) in enumerate(zip(kinds, SHAPES)):
        target = payload.path_of(lab.root, shape)
        torrents.append(payload.torrent_of(lab.root, shape, "v1"))
        folder = target if kind == "kith" else os.path.dirname(target)
        seed = clients.KINDS[kind](lab, "seed", torrents[-1], folder, lab.ip(10 + i), PORT)
        seed.start()
        lab.until("the seed (%s) is ready" % kind, seed.done)
        where.append("%s:%d" % (lab.ip(10 + i), PORT))
    return where, torrents


def get_two(kinds):
    """kith get A B, each from another program."""
    def run(lab):
        installed(*kinds)
        where, torrents = seeds_of(lab, kinds)
        out = lab.path("out")
        proc = kith(lab, "get", lab.ip(2), ["get", *torrents, "-o", out], [x for w in where for x in ("--peer", w)])
        ended(lab, proc, 0)
        same(lab, out)
        need(len({e["id"] for e in events(proc, "result")}) == 2, "no result for each torrent")
        need(len({e["port"] for e in events(proc) if "port" in e}) <= 1, "more than one port")
    return run


def share_two(kinds):
    """kith share P Q, each fetched by another program."""
    def run(lab):
        installed(*kinds)
        targets = [payload.path_of(lab.root, shape) for shape in SHAPES]
        where = clients.Tracker(lab, "kith", lab.ip(1), [])
        proc = kith(lab, "share", lab.ip(2), ["share", *targets, "--tracker", where.url("http")])
        lab.until("both are seeded", lambda: len(events(proc, "seeding")) == 2)
        leeches = []
        for i, (kind, target) in enumerate(zip(kinds, targets)):
            out = lab.path("out-%d" % i)
            os.makedirs(out)
            torrent = lab.path(os.path.basename(target) + ".torrent")
            leech = clients.KINDS[kind](lab, "leech", torrent, out, lab.ip(10 + i), PORT, stay=kind != "ar")
            leech.start()
            leeches.append((leech, target, out))
        for leech, target, out in leeches:
            lab.until("%s is complete" % leech.__class__.__name__, leech.done)
            time.sleep(0.5)
            wrong = payload.differences(target, os.path.join(out, os.path.basename(target)), strict=False, empty=False)
            need(not wrong, "; ".join(wrong[:5]))
        code = proc.stop()
        need(code == 0, "kith share: SIGINT gave %s" % code)
        where.finish()
    return run


def one_fails(lab):
    """Nobody has the one: it is given up, the other one completes, and the exit status is of the failure."""
    where, torrents = seeds_of(lab, ("kith",))
    torrents.append(payload.torrent_of(lab.root, "multi", "v1"))
    out = lab.path("out")
    proc = kith(lab, "get", lab.ip(2), ["get", torrents[1], torrents[0], "-o", out], ["--peer", where[0], "--timeout", "4s", "--down", "4M"])
    ended(lab, proc, 12)
    same(lab, out, ("single",))
    errors = events(proc, "error")
    need([e["code"] for e in errors] == ["no_peers"] and errors[0]["id"] == payload.info_hashes(torrents[1])[0].hex(), "errors: %r" % errors)


def disk_fails(lab):
    """Where the one should be is a directory: it is given up with that reason, and the other one is not held up."""
    where, torrents = seeds_of(lab, ("kith", "kith"))
    out = lab.path("out")
    os.makedirs(os.path.join(out, "single.bin"))
    proc = kith(lab, "get", lab.ip(2), ["get", *torrents, "-o", out], [x for w in where for x in ("--peer", w)])
    ended(lab, proc, 8)
    need([e["name"] for e in events(proc, "done")] == ["multi"], "the other one is not complete")
    need(any("single.bin" in e["message"] and "directory is in the way" in e["message"] for e in events(proc, "error")), "nothing is said of the disk")
    os.rmdir(os.path.join(out, "single.bin"))
    ended(lab, kith(lab, "mended", lab.ip(3), ["get", *torrents, "-o", out], [x for w in where for x in ("--peer", w)]), 0)
    same(lab, out)


def twice(lab):
    torrents = [payload.torrent_of(lab.root, shape, "v1") for shape in SHAPES]
    link = "magnet:?xt=urn:btih:" + payload.info_hashes(torrents[0])[0].hex()
    for words in ([torrents[0], torrents[1], torrents[0]], [torrents[0], link], [link, link]):
        proc = kith(lab, "get-%d" % len(lab.procs), lab.ip(2), ["get", *words, "-o", lab.path("out")])
        ended(lab, proc, 10)
        need(events(proc, "error")[0]["code"] == "duplicate" and not events(proc, "added"), "not refused")


def interrupted(lab):
    """One Ctrl-C stops all of them; the same command goes on where each was."""
    where, torrents = seeds_of(lab, ("kith", "kith"))
    out, state = lab.path("out"), lab.path("state")
    words, peers = ["get", *torrents, "-o", out], [x for w in where for x in ("--peer", w)]
    proc = kith(lab, "first", lab.ip(2), words, [*peers, "--down", "8M"], state)
    lab.until("both have something", lambda: len({e["id"] for e in events(proc, "progress") if e["done"] > 4 * MIB}) == 2)
    need(proc.stop(signal.SIGINT) == 7, "SIGINT")
    had = {e["id"]: e["done"] for e in events(proc, "progress")}
    proc = kith(lab, "second", lab.ip(2), words, peers, state)
    ended(lab, proc, 0)
    same(lab, out)
    for e in events(proc, "result"):
        need(e["down_bytes"] <= e["size"] - had[e["id"]] + MIB, "%s began anew" % e["name"])


def queue(lab):
    """One at a time, in order."""
    where, torrents = seeds_of(lab, ("kith", "kith"))
    proc = kith(lab, "get", lab.ip(2), ["get", *reversed(torrents), "-o", lab.path("out"), "--max-downloads", "1"], [x for w in where for x in ("--peer", w)])
    ended(lab, proc, 0)
    same(lab, lab.path("out"))
    order = [(e["type"], e["name"]) for e in events(proc) if e["type"] in ("added", "done")]
    need(order == [("added", "multi"), ("done", "multi"), ("added", "single.bin"), ("done", "single.bin")], "order: %r" % order)


def ratio(lab):
    """It is reached, kith ends by itself; what an earlier run sent counts in the next one."""
    target, torrent = payload.path_of(lab.root, "small"), payload.torrent_of(lab.root, "small", "v1")
    state = lab.path("state")
    for run in (1, 2):
        proc = kith(lab, "share-%d" % run, lab.ip(2), ["share", target, "--torrent", torrent], ["--ratio", str(run)], state)
        lab.until("it is seeded", lambda: events(proc, "seeding"))
        out = lab.path("out-%d" % run)
        got = kith(lab, "get-%d" % run, lab.ip(3), ["get", torrent, "-o", out], ["--peer", "%s:%d" % (lab.ip(2), PORT)])
        ended(lab, got, 0)
        ended(lab, proc, 0, 10)
        result = events(proc, "result")[0]
        need(result["up_bytes"] == result["size"] and result["up_total"] == run * result["size"], "totals: %r" % result)
    proc = kith(lab, "share-3", lab.ip(2), ["share", target, "--torrent", torrent], ["--ratio", "2"], state)
    ended(lab, proc, 0, 10)             # nothing more is owed
    proc = kith(lab, "idle", lab.ip(2), ["share", target, "--torrent", torrent], ["--seed-idle", "2s"], state)
    ended(lab, proc, 0, 15)


def windows_of(lab, seconds):
    """Bytes of content that a peer of ours takes in each second, and its pieces' order does not matter."""
    torrent = payload.torrent_of(lab.root, "big", "v1")
    peer = Peer((lab.ip(2), PORT), payload.info_hashes(torrent)[0], source=lab.ip(3))
    peer.shake()
    peer.send(INTERESTED)
    asked = taken = 0
    counts, started = [0] * (seconds + 2), None
    while peer.choked:
        peer.receive()
    while True:
        while asked - taken < 256:      # enough for a fast limit
            peer.send(REQUEST, struct.pack(">III", asked // 16, asked % 16 * BLOCK, BLOCK))
            asked += 1
        # as it comes off the socket, not block by block
        got = peer.s.recv(1 << 16)
        now = time.monotonic()
        started = started or now
        if now - started >= seconds + 2:
            peer.close()
            return counts[1:-1]
        counts[int(now - started)] += len(got)
        peer.rest += got
        while len(peer.rest) >= 4 and len(peer.rest) >= 4 + struct.unpack(">I", peer.rest[:4])[0]:
            n = struct.unpack(">I", peer.rest[:4])[0]
            if n and peer.rest[4] == PIECE:
                taken += 1
            peer.rest = peer.rest[4 + n:]


def limits_up(lab):
    """On the machine: every second within 5 % (the simulator's test has the exact ones), while others measure beside us."""
    target, torrent = payload.path_of(lab.root, "big"), payload.torrent_of(lab.root, "big", "v1")
    for bps in (20 * 1024, 64 * 1024, 128 * 1024, 256 * 1024, 4 * MIB):
        proc = kith(lab, "share-%d" % bps, lab.ip(2), ["share", target, "--torrent", torrent], ["--up", "%dK" % (bps // 1024)])
        lab.until("it is seeded", lambda: events(proc, "seeding"))
        counts = windows_of(lab, 8)
        proc.stop()
        worst = max(abs(c - bps) / bps for c in counts)
        lab.notes.append("%d KiB/s: worst second %.1f %% off, all of them %.2f %%" % (bps // 1024, 100 * worst, 100 * abs(sum(counts) / len(counts) / bps - 1)))
        need(worst < 0.05, "%d B/s: seconds of %r" % (bps, counts))


def limits_down(lab):
    """A limit of receiving, and one of sending that does not hold up the receiving."""
    installed("lt")
    where, torrents = seeds_of(lab, ("lt",))
    size = os.path.getsize(payload.path_of(lab.root, "single"))
    took = {}
    for name, extra in (("free", []), ("up 1K", ["--up", "1K"]), ("down 4M", ["--down", "4M"]), ("each 4M", ["--down-each", "4M"])):
        proc = kith(lab, "get-" + name.replace(" ", "-"), lab.ip(2), ["get", torrents[0], "-o", lab.path("out-" + name)], ["--peer", where[0], *extra])
        ended(lab, proc, 0)
        took[name] = events(proc, "done")[0]["ms"] / 1000
    lab.notes.append(", ".join("%s: %.2f s" % x for x in took.items()))
    for name in ("down 4M", "each 4M"):
        need(0.95 < took[name] / (size / (4 * MIB)) < 1.10, "%s took %.2f s" % (name, took[name]))
    need(took["up 1K"] < took["free"] + 1, "with 1 KiB/s for uploads it took %.2f s instead of %.2f" % (took["up 1K"], took["free"]))


def super_seed(lab):
    """libtorrent leeches that know each other: all complete, and we send little more than one copy."""
    installed("lt")
    target = payload.path_of(lab.root, "single")
    torrent = payload.torrent_of(lab.root, "single", "v1")
    proc = kith(lab, "share", lab.ip(2), ["share", target, "--torrent", torrent], ["--super-seed", "--up", "4M"])
    lab.until("it is seeded", lambda: events(proc, "seeding"))
    leeches = []
    for i in range(4):
        out = lab.path("out-%d" % i)
        os.makedirs(out)
        known = ["%s:%d" % (lab.ip(2), PORT)] + ["%s:%d" % (lab.ip(10 + k), PORT) for k in range(4) if k != i]
        leech = clients.KINDS["lt"](lab, "leech%d" % i, torrent, out, lab.ip(10 + i), PORT, peers=tuple(known))
        leech.role = "leech"
        leech.start()
        leeches.append((leech, out))
    for leech, out in leeches:
        lab.until("a leech is complete", leech.done)
    proc.stop()
    result = events(proc, "result")[0]
    lab.notes.append("sent %.2f of the content to four that are complete" % (result["up_bytes"] / result["size"]))
    need(result["up_bytes"] < 2 * result["size"], "sent %d of %d bytes" % (result["up_bytes"], result["size"]))
    for leech, out in leeches:
        wrong = payload.differences(target, os.path.join(out, os.path.basename(target)), strict=False)
        need(not wrong, "; ".join(wrong[:5]))


def cases():
    return [("many/get-%s-%s" % k, get_two(k), 90) for k in (("lt", "tr"), ("ar", "lt"), ("kith", "kith"))] + \
           [("many/share-%s-%s" % k, share_two(k), 120) for k in (("lt", "ar"), ("tr", "lt"))] + [
               ("many/one-fails", one_fails, 60), ("many/disk-fails", disk_fails, 120), ("many/twice", twice, 30),
               ("many/interrupted", interrupted, 60), ("many/queue", queue, 60), ("many/ratio", ratio, 90),
               ("many/limits-up", limits_up, 120), ("many/limits-down", limits_down, 90), ("many/super-seed", super_seed, 120),
           ]
