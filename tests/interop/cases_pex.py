"""Peer exchange: three peers, no tracker, no DHT; the first is told only of the middle one, and finds the last by it."""
import os
import socket
import struct

import clients
import payload
from cases_transfer import LEECH_PORT, SEED_PORT, compare, data_folder
from lab import Skipped, need

MIDDLE_PORT = LEECH_PORT + 1
SLOW = ("--down", "1M", "--no-utp")      # still at it when the news comes


def are_connected(a, b):
    """Is there a TCP connection from or to address a whose other end is at b? Only of this namespace."""
    def written(ip):
        return "%08X" % struct.unpack("=I", socket.inet_aton(ip))[0]
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f][1:]
    return any((r[1][:8], r[2][:8], r[3]) == (written(a), written(b), "01") for r in rows)


def by_the_middle(first, middle, private=False):
    def run(lab):
        if not clients.installed("lt"):
            raise Skipped("libtorrent is not installed")
        target = payload.path_of(lab.root, "single")
        torrent = payload.torrent_of(lab.root, "single", "v1")
        if private:
            torrent = private_copy(lab, torrent)
        out = [lab.path("out%d" % i) for i in range(2)]
        for folder in out:
            os.makedirs(folder)
        last = clients.Libtorrent(lab, "seed", torrent, data_folder(lab, "lt", target), lab.ip(2), SEED_PORT)
        last.settings = {"close_redundant_connections": False}      # or two seeds part before anybody hears of them
        last.start()
        lab.until("the seed is ready", last.done)
        between = clients.KINDS[middle](lab, "leech", torrent, out[0], lab.ip(3), MIDDLE_PORT, ["%s:%d" % (lab.ip(2), SEED_PORT)])
        begins = clients.KINDS[first](lab, "leech", torrent, out[1], lab.ip(4), LEECH_PORT, ["%s:%d" % (lab.ip(3), MIDDLE_PORT)],
                                      stay=first != "kith")
        for p in (between, begins):
            if p.__class__ is clients.Kith:
                p.extra = SLOW
            elif p is between:
                p.settings = last.settings
        between.start()
        lab.until("the middle has met the seed", lambda: are_connected(lab.ip(3), lab.ip(2)))
        begins.start()
        lab.until("the first has met the middle", lambda: are_connected(lab.ip(4), lab.ip(3)))
        if private:
            def met_or_done():
                need(not are_connected(lab.ip(4), lab.ip(2)), "a private torrent's peers were exchanged")
                return begins.done()
            lab.until("the first is complete", met_or_done)
        else:
            lab.until("the first has met the seed", lambda: are_connected(lab.ip(4), lab.ip(2)))
            lab.until("the first is complete", begins.done)
        compare(target, out[1], first)
        for p in (begins, between, last):
            p.finish()
    return run


def private_copy(lab, torrent):
    import bencode
    root = bencode.decode(open(torrent, "rb").read())
    root[b"info"][b"private"] = 1
    path = lab.path("private.torrent")
    with open(path, "wb") as f:
        f.write(bencode.encode(root))
    return path


def cases():
    return [
        ("pex/kith-by-lt", by_the_middle("kith", "lt"), 90),
        ("pex/lt-by-kith", by_the_middle("lt", "kith"), 90),
        ("pex/private", by_the_middle("lt", "kith", private=True), 90),
    ]
