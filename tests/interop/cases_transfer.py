"""Whole transfers, every file compared: kith with every other program, kith with itself, the others among themselves."""
import os
import shutil
import time

import clients
import payload
from lab import Failed, Skipped, need

OTHERS = ("lt", "ar", "tr", "rt")
SEED_PORT, LEECH_PORT = 20001, 20002


def data_folder(lab, kind, target):
    """kith share wants the content, the others want the folder that it is in."""
    return target if kind == "kith" else os.path.dirname(target)


def transfer(lab, seed, leech, tracker="ot", protocol="http", shape="single", version="v1", piece=256 * 1024, extra=(), mode="tcp",
             seed_extra=()):
    """One seed, one leech; they find each other through the tracker, or without one directly (tracker None). extra and
    seed_extra: options of kith; mode: of the others."""
    for kind in (seed, leech, tracker or "lt"):
        if kind != "kith" and not clients.installed(kind):
            raise Skipped("%s is not installed" % clients.NAMES.get(kind, "opentracker"))
    target = payload.path_of(lab.root, shape)
    plain = payload.torrent_of(lab.root, shape, version, piece)
    tiers, where, peers = [], None, ()
    if tracker:
        where = clients.Tracker(lab, tracker, lab.ip(1), payload.info_hashes(plain))
        tiers = [[where.url(protocol)]]
    else:
        peers = ("%s:%d" % (lab.ip(2), SEED_PORT),)
    torrent = payload.with_trackers(plain, lab.path("t.torrent"), tiers)
    out = lab.path("out")
    os.makedirs(out)
    seeder = clients.KINDS[seed](lab, "seed", torrent, data_folder(lab, seed, target), lab.ip(2), SEED_PORT, mode=mode)
    seeder.extra = seed_extra
    seeder.start()
    lab.until("the seed (%s) is ready" % seed, seeder.done)
    leecher = clients.KINDS[leech](lab, "leech", torrent, out, lab.ip(3), LEECH_PORT, peers=peers, mode=mode,
                                   stay=leech != "kith" and leech != "ar")
    leecher.extra = extra
    leecher.start()
    lab.until("the leech (%s) is complete" % leech, leecher.done)
    compare(target, out, leech)
    leecher.finish()
    seeder.finish()
    if where:
        where.finish()
    shutil.rmtree(out)


def compare(target, out, leech):
    """What kith calls complete is complete; the others' last writes may still be on their way."""
    patience = time.monotonic() + (0 if leech == "kith" else 10)
    while True:
        # transmission 3.00 does not make empty files
        wrong = payload.differences(target, os.path.join(out, os.path.basename(target)), strict=leech == "kith", empty=leech != "tr")
        if not wrong or time.monotonic() >= patience:
            need(not wrong, "; ".join(wrong[:5]))
            return
        time.sleep(0.2)


def one(*args, **kw):
    return lambda lab: transfer(lab, *args, **kw)


def kith_creates(shape, version):
    """create, share through its own tracker, get, verify: only kith."""
    def run(lab):
        kith = lab.options.kith
        target = payload.path_of(lab.root, shape)
        torrent, out = lab.path("t.torrent"), lab.path("out")
        where = clients.Tracker(lab, "kith", lab.ip(1), [])
        made = lab.run("create", [kith, "create", target, "-o", torrent, "--" + version, "--tracker", where.url("http"),
                                  "--tracker", where.url("udp")])
        need(made.code == 0, "kith create: %d %s" % (made.code, made.errors()[-300:]))
        os.makedirs(out)
        seeder = clients.Kith(lab, "seed", torrent, target, lab.ip(2), SEED_PORT)
        seeder.start()
        lab.until("kith share is ready", seeder.done)
        leecher = clients.Kith(lab, "leech", torrent, out, lab.ip(3), LEECH_PORT, stay=False)
        leecher.start()
        lab.until("kith get is complete", leecher.done)
        wrong = payload.differences(target, os.path.join(out, os.path.basename(target)))
        need(not wrong, "; ".join(wrong[:5]))
        checked = lab.run("verify", [kith, "verify", torrent, out])
        need(checked.code == 0, "kith verify: %d %s" % (checked.code, checked.errors()[-300:]))
        for who in (leecher, seeder, where):
            who.finish()
    return run


def selection(lab):
    """--select: the chosen files are whole, the others are not there or hold nothing beyond shared pieces."""
    target = payload.path_of(lab.root, "multi")
    torrent = payload.torrent_of(lab.root, "multi", "v1")
    seeder = clients.KINDS["kith"](lab, "seed", torrent, target, lab.ip(2), SEED_PORT)
    seeder.start()
    lab.until("kith share is ready", seeder.done)
    files = [os.path.relpath(p, target) for p in payload.walk(target)]
    wanted = [i for i, name in enumerate(files) if name.startswith("many/") or name == "z/last.bin"]
    leecher = clients.Kith(lab, "leech", torrent, lab.path("out"), lab.ip(3), LEECH_PORT,
                           peers=("%s:%d" % (lab.ip(2), SEED_PORT),), stay=False)
    leecher.extra = ("--select", ",".join(str(i + 1) for i in wanted))
    leecher.start()
    lab.until("kith get is complete", leecher.done)
    got = os.path.join(lab.path("out"), "multi")
    for i in wanted:
        need(payload.same(os.path.join(target, files[i]), os.path.join(got, files[i])), "%s differs" % files[i])
    rest = os.path.join(got, "a/first.bin")
    need(not os.path.exists(rest) or os.stat(rest).st_blocks * 512 < 1 << 20, "a file that was not selected was fetched")
    seeder.finish()


def swarm(kinds):
    """A kith seed and one leech of each kind at once; all must complete. Not aria2: between rtorrent and transmission it
    loses its connections early and asks for new ones only much later, whoever the seed is."""
    def run(lab):
        target = payload.path_of(lab.root, "single")
        plain = payload.torrent_of(lab.root, "single", "v1")
        where = clients.Tracker(lab, "kith", lab.ip(1), payload.info_hashes(plain))
        torrent = payload.with_trackers(plain, lab.path("t.torrent"), [[where.url("http")]])
        seeder = clients.Kith(lab, "seed", torrent, target, lab.ip(2), SEED_PORT)
        seeder.start()
        lab.until("kith share is ready", seeder.done)
        leeches = []
        for n, kind in enumerate(kinds):
            if kind != "kith" and not clients.installed(kind):
                continue
            out = lab.path("out-%d" % n)
            os.makedirs(out)
            peer = clients.KINDS[kind](lab, "leech", torrent, out, lab.ip(10 + n), 20010 + n)
            peer.start()
            leeches.append((kind, peer, out))
        for kind, peer, out in leeches:
            copy = os.path.join(out, os.path.basename(target))
            if kind == "kith":      # stays as a seed: complete when the copy is
                lab.until("kith has everything", lambda c=copy: os.path.exists(c) and not payload.differences(target, c))
            else:
                lab.until("%s has everything" % kind, peer.done)
            need(not payload.differences(target, copy, strict=False), "%s: the copy differs" % kind)
        for _, peer, _ in leeches:
            peer.finish()
        seeder.finish()
    return run


def cases():
    out = []
    for other in OTHERS:
        for tracker in ("kith", "ot"):
            for protocol in ("http", "udp"):
                out.append(("matrix/kith-to-%s/%s-%s" % (other, tracker, protocol), one("kith", other, tracker, protocol), 150))
                out.append(("matrix/%s-to-kith/%s-%s" % (other, tracker, protocol), one(other, "kith", tracker, protocol), 150))
    out.append(("matrix/swarm-of-all", swarm(("kith", "lt", "tr", "rt", "kith")), 150))
    for version in ("v2", "hybrid"):
        for shape in ("single", "multi"):
            out.append(("matrix/kith-to-lt/%s-%s" % (version, shape), one("kith", "lt", "kith", "http", shape, version), 120))
            out.append(("matrix/lt-to-kith/%s-%s" % (version, shape), one("lt", "kith", "ot", "udp", shape, version), 120))
    for other in OTHERS:
        out.append(("matrix/kith-to-%s/multi" % other, one("kith", other, "ot", "http", "multi"), 150))
        out.append(("matrix/%s-to-kith/multi" % other, one(other, "kith", "ot", "http", "multi"), 150))
    for version in ("v1", "v2", "hybrid"):
        for shape in ("single", "multi"):
            out.append(("kith/%s-%s" % (version, shape), kith_creates(shape, version), 90))
    out.append(("kith/peer-option", one("kith", "kith", None), 60))
    out.append(("kith/peer-option-to-lt", one("lt", "kith", None), 60))
    out.append(("kith/sequential", one("kith", "kith", "kith", "udp", "multi", "v1", 16384, ("--sequential",)), 60))
    out.append(("kith/pieces-of-4-mib", one("kith", "kith", "kith", "udp", "single", "v1", 4 << 20), 60))
    out.append(("kith/select", selection, 60))
    return out


def foreign_cases():
    """The harness itself on trial: without kith."""
    out = []
    for seed in OTHERS:
        for leech in OTHERS:
            if (seed, leech) == ("rt", "ar"):
                continue                # rtorrent closes the connection after the first MiB or two: between the two of them
            for protocol in ("http", "udp"):
                out.append(("foreign/%s-to-%s/ot-%s" % (seed, leech, protocol), one(seed, leech, "ot", protocol), 150))
    for shape in ("single", "multi"):
        for version in ("v2", "hybrid"):
            out.append(("foreign/lt-to-lt/%s-%s" % (version, shape), one("lt", "lt", "ot", "http", shape, version), 90))
        for leech in OTHERS:
            out.append(("foreign/lt-to-%s/%s" % (leech, shape), one("lt", leech, "ot", "http", shape), 150))
    return out


__all__ = ["cases", "foreign_cases", "transfer", "Failed"]
