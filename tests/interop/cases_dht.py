"""A DHT of our own in the namespace: kith and libtorrent find each other's peers and items; transfers without any tracker."""
import os
import shutil
import socket
import struct
import time

import clients
import payload
import peer as wire
from cases_magnet import link_of
from lab import Skipped, need

HERE = os.path.dirname(os.path.abspath(__file__))
PORT = 21001
HASH = "08ada5a7a6183aae1e09d831df6748d566095a10"


def kith_node(lab, n, router=1):
    """A long-running `kith dht` at address n."""
    return lab.start("node%d" % n, [lab.options.kith, "dht", "--listen", lab.ip(n), "--port", PORT, "--dht-router",
                                    "%s:%d" % (lab.ip(router), PORT), "--state", lab.path("node%d" % n), "--json"])


def network(lab, count=4):
    """Nodes 1 … count; they know each other through the first."""
    nodes = [kith_node(lab, n) for n in range(1, count + 1)]
    lab.until("the nodes know each other", lambda: all(clients_known(p) for p in nodes[1:]), 30)
    return nodes


def clients_known(proc):
    need(proc.alive(), "kith dht ended: %s" % proc.errors()[-300:])
    return '"port"' in proc.output()


def kith_ask(lab, n, *words, ok=True, seconds=30):
    proc = lab.run("ask", [lab.options.kith, "dht", *words, "--listen", lab.ip(n), "--dht-router", "%s:%d" % (lab.ip(1), PORT),
                           "--state", lab.path("ask%d" % n)], seconds)
    need((proc.code == 0) == ok, "kith dht %s: %d %s" % (" ".join(words), proc.code, proc.errors()[-300:]))
    return proc.output().split("\n")[0]


def lt(lab, name, n, *words, run=True):
    if not clients.installed("lt"):
        raise Skipped("libtorrent is not installed")
    command = [clients.PYTHON, os.path.join(HERE, "lt_dht.py"), lab.ip(n), PORT, "%s:%d" % (lab.ip(1), PORT), *words]
    if not run:
        return lab.start(name, command)
    return lab.run(name, command, 60).output().strip()


def alone(lab):
    """Only kith: all four questions, exit codes, and a second start from saved nodes with the router gone."""
    nodes = network(lab)
    kith_ask(lab, 9, "announce", HASH, "--port", "5555")
    need(kith_ask(lab, 10, "peers", HASH) == "%s:5555" % lab.ip(9), "the announced peer is not found")
    need(kith_ask(lab, 10, "scrape", HASH) == "seeds 0 leeches 1", "the scrape does not count the peer")
    target = kith_ask(lab, 9, "put", "a text for everybody")
    need(kith_ask(lab, 10, "get", target) == "a text for everybody", "an immutable item is not found")
    key = kith_ask(lab, 9, "put", "first", "--key", lab.path("key"), "--salt", "s")
    need(kith_ask(lab, 9, "put", "second", "--key", lab.path("key"), "--salt", "s") == key, "another key")
    need(kith_ask(lab, 10, "get", key, "--salt", "s") == "second", "the newest version of a mutable item is not found")
    kith_ask(lab, 9, "put", "back", "--key", lab.path("key"), "--salt", "s", "--item-seq", "1", ok=False)
    kith_ask(lab, 10, "get", "00" * 20, ok=False)
    nodes[0].stop()
    nodes[3].stop()
    again = kith_node(lab, 4)
    lab.until("a restarted node answers", lambda: clients_known(again), 20)
    need(kith_ask(lab, 10, "get", key, "--salt", "s") == "second", "not found after the router left")


def peers_both_ways(lab):
    network(lab)
    other = lt(lab, "lt-serve", 20, "serve", run=False)
    lab.until("libtorrent has found nodes", lambda: "nodes 3" in other.output() or "nodes 4" in other.output(), 30)
    kith_ask(lab, 9, "announce", HASH, "--port", "5555")
    need("%s:5555" % lab.ip(9) in lt(lab, "lt-peers", 21, "peers", HASH), "libtorrent does not find what kith announced")
    lt(lab, "lt-announce", 22, "announce", "11" * 20, run=False)
    lab.until("kith finds what libtorrent announced", lambda: found_by_kith(lab, "11" * 20, "%s:%d" % (lab.ip(22), PORT)), 40)


def found_by_kith(lab, info_hash, peer):
    proc = lab.run("ask", [lab.options.kith, "dht", "peers", info_hash, "--listen", lab.ip(10), "--dht-router",
                           "%s:%d" % (lab.ip(1), PORT), "--state", lab.path("ask10")], 30)
    return peer in proc.output()


def items_both_ways(lab):
    network(lab)
    target = kith_ask(lab, 9, "put", "from kith")
    need("from kith" in lt(lab, "lt-get", 20, "get", target), "libtorrent does not find kith's immutable item")
    key = kith_ask(lab, 9, "put", "signed by kith", "--key", lab.path("key"), "--salt", "x")
    need("signed by kith" in lt(lab, "lt-getm", 21, "getm", key, "x"), "libtorrent does not find kith's mutable item")
    target = lt(lab, "lt-put", 22, "put", "from libtorrent")
    need(kith_ask(lab, 10, "get", target) == "from libtorrent", "kith does not find libtorrent's immutable item")
    key = lt(lab, "lt-putm", 23, "putm", "signed by libtorrent", "y")
    need(kith_ask(lab, 10, "get", key, "--salt", "y") == "signed by libtorrent", "kith does not find libtorrent's mutable item")


def through_libtorrent_only(lab):
    """The network is libtorrent's: kith joins it, stores and finds there."""
    first = lt_first(lab)
    lab.until("libtorrent runs", lambda: "nodes" in first.output(), 20)
    others = [lt(lab, "lt-%d" % n, n, "serve", run=False) for n in range(2, 6)]
    lab.until("they know each other", lambda: all("nodes 3" in p.output() or "nodes 4" in p.output() for p in others), 40)
    kith_ask(lab, 9, "announce", HASH, "--port", "5555")
    need(kith_ask(lab, 10, "peers", HASH) == "%s:5555" % lab.ip(9), "not found in a network of libtorrent's")
    key = kith_ask(lab, 9, "put", "kept by libtorrent", "--key", lab.path("key"))
    need(kith_ask(lab, 10, "get", key) == "kept by libtorrent", "libtorrent does not keep kith's item")


def lt_first(lab):
    if not clients.installed("lt"):
        raise Skipped("libtorrent is not installed")
    return lab.start("lt-1", [clients.PYTHON, os.path.join(HERE, "lt_dht.py"), lab.ip(1), PORT, "-", "serve"])


class DhtKith(clients.Kith):
    """share and get that find each other only by the DHT."""

    def common(self):
        state = self.lab.path("kith-state-%d" % self.port)
        return ["--listen", self.ip, "--port", self.port, "--no-lsd", "--state", state, "--dht-router", "%s:%d" % (self.lab.ip(1), PORT)]


def transfer(version):
    def run(lab):
        network(lab)
        target, out = payload.path_of(lab.root, "single"), lab.path("out")
        torrent = payload.with_trackers(payload.torrent_of(lab.root, "single", version, 256 * 1024), lab.path("t.torrent"), [])
        os.makedirs(out)
        seeder = DhtKith(lab, "seed", torrent, target, lab.ip(30), 20001)
        seeder.start()
        lab.until("kith share is ready", seeder.done)
        leecher = DhtKith(lab, "leech", torrent, out, lab.ip(31), 20002, stay=False)
        leecher.start()
        lab.until("kith get is complete", leecher.done)
        wrong = payload.differences(target, os.path.join(out, os.path.basename(target)))
        need(not wrong, "; ".join(wrong[:5]))
        leecher.finish()
        seeder.finish()
        shutil.rmtree(out)
    return run


def followed(lab):
    """BEP 46: the link names a key; it leads to the first torrent, and to the second one after that was published. --keep tells it again."""
    nodes = network(lab)
    links = []
    for n, kind in enumerate(("single", "small")):
        target, out = payload.path_of(lab.root, kind), lab.path("out")
        torrent = payload.with_trackers(payload.torrent_of(lab.root, kind, "v1", 256 * 1024), lab.path("f%d.torrent" % n), [])
        os.makedirs(out)
        seeder = DhtKith(lab, "seed", torrent, target, lab.ip(30 + n), 20001)
        seeder.start()
        lab.until("kith share is ready", seeder.done)
        keeper = lab.start("keep%d" % n, [lab.options.kith, "dht", "publish", torrent, "--key", lab.path("key"), "--salt", "news", "--keep", "1s",
                                          "--listen", lab.ip(9), "--dht-router", "%s:%d" % (lab.ip(1), PORT), "--state", lab.path("ask9")])
        lab.until("it was published twice", lambda: keeper.output().count("magnet:?xs=urn:btpk:") >= 2, 30)
        links.append(keeper.output().split("\n")[0])
        got = lab.run("get%d" % n, [lab.options.kith, "get", links[0], "-o", out, "--listen", lab.ip(40), "--no-lsd", "--no-port-map", "--state",
                                    lab.path("get"), "--dht-router", "%s:%d" % (lab.ip(1), PORT), "--progress", "none"], 60)
        need(got.code == 0, "kith get %s: %d %s" % (links[0], got.code, got.errors()[-300:]))
        wrong = payload.differences(target, os.path.join(out, os.path.basename(target)))
        need(not wrong, "; ".join(wrong[:5]))
        keeper.stop()
        shutil.rmtree(out)
        seeder.finish()
    need(links[0] == links[1], "another link: %s" % links)
    for p in nodes:
        p.stop()
    got = lab.run("alone", [lab.options.kith, "get", links[0], "-o", lab.path("out"), "--listen", lab.ip(40), "--no-lsd", "--no-port-map", "--timeout", "3s",
                            "--state", lab.path("get"), "--dht-router", "%s:%d" % (lab.ip(1), PORT), "--progress", "none"], 60)
    need("what was seen last is version 2" in got.errors(), "the version of an earlier run is forgotten: %s" % got.errors()[-300:])
    got = lab.run("fresh", [lab.options.kith, "get", links[0], "-o", lab.path("out"), "--listen", lab.ip(40), "--no-lsd", "--timeout", "3s",
                            "--state", lab.path("fresh"), "--dht-router", "%s:%d" % (lab.ip(1), PORT), "--progress", "none"], 60)
    need(got.code == 12 and "the DHT does not answer" in got.errors(), "exit %d: %s" % (got.code, got.errors()[-300:]))


def port_messages(lab):
    """A peer that speaks of its DHT node is asked there; kith speaks of its own. Nobody does in a private torrent."""
    target = payload.path_of(lab.root, "single")
    plain = payload.torrent_of(lab.root, "single", "v1", 256 * 1024)
    for private in (False, True):
        torrent, n = lab.path("p%d.torrent" % private), 2 + private
        with open(plain, "rb") as f:
            raw = f.read()
        with open(torrent, "wb") as f:
            at = raw.index(b"6:pieces")
            end = raw.index(b":", at + 8) + 1
            end += int(raw[at + 8:end - 1])
            f.write(raw[:end] + (b"7:privatei1e" if private else b"") + raw[end:])
        content = wire.Content(torrent)
        seeder = lab.start("share%d" % private, [lab.options.kith, "share", target, "--torrent", torrent, "--listen", lab.ip(n), "--port", PORT,
                                                 "--no-lsd", "--dht-router", "%s:9" % lab.ip(99), "--state", lab.path("s%d" % private)])
        lab.until("kith share seeds", lambda: not seeder.alive() or "seeding on port" in seeder.errors(), 30)
        node = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        node.bind((lab.ip(50), 7777))
        node.settimeout(3)
        p = wire.Peer((lab.ip(n), PORT), content.hash, lab.ip(50), fast=True, dht=True)
        reserved, _, _ = p.shake()
        need(bool(reserved[7] & 1) != private, "the DHT bit is wrong, private %s" % private)
        p.send(9, struct.pack(">H", 7777))
        ports, end = [], time.monotonic() + 1.5
        while time.monotonic() < end:
            p.s.settimeout(max(0.01, end - time.monotonic()))
            try:
                kind, body = p.receive()
            except socket.timeout:
                break
            if kind == 9:
                ports.append(struct.unpack(">H", body)[0])
        need(ports == ([] if private else [PORT]), "PORT messages %s, private %s" % (ports, private))
        try:
            asked = b"find_node" in node.recv(2000)
        except socket.timeout:
            asked = False
        need(asked != private, "the peer's DHT node was %sasked, private %s" % ("" if asked else "not ", private))
        p.close()
        node.close()
        seeder.stop()


def npm(lab, name, script, *words, run=False):
    """A script of npm/, beside the packages that `./run test` fetched; skips the test where they are not."""
    folder = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build/npm")
    if not shutil.which("node") or not os.path.isdir(os.path.join(folder, "node_modules")):
        raise Skipped("the packages of tests/interop/npm are not at hand")
    shutil.copy(os.path.join(HERE, "npm", script), folder)
    command = ["node", os.path.join(folder, script), *[str(w) for w in words]]
    return lab.run(name, command, 40) if run else lab.start(name, command)


def bittorrent_dht(lab):
    network(lab)
    kith_ask(lab, 9, "announce", HASH, "--port", "5555")
    mine = kith_ask(lab, 9, "put", "from kith")
    told = npm(lab, "node", "dht.mjs", "%s:%d" % (lab.ip(1), PORT), lab.ip(40), PORT, HASH, mine, run=True).output().split("\n")
    need("peer %s:5555" % lab.ip(9) in told, "bittorrent-dht does not find kith's peer: %s" % told)
    need("value from kith" in told, "bittorrent-dht does not find kith's item: %s" % told)
    need(kith_ask(lab, 10, "get", told[0]) == "from node", "kith does not find bittorrent-dht's item")


def webtorrent(how):
    """Nothing but a magnet link and the DHT, from kith to webtorrent or the other way."""
    def run(lab):
        network(lab)
        target, out = payload.path_of(lab.root, "multi"), lab.path("out")
        torrent = payload.with_trackers(payload.torrent_of(lab.root, "multi", "v1"), lab.path("t.torrent"), [])
        router, port = "%s:%d" % (lab.ip(1), PORT), 20100 + lab.slot
        os.makedirs(out)
        if how == "to":
            seeder = DhtKith(lab, "seed", torrent, target, lab.ip(30), 20001)
            seeder.start()
            lab.until("kith share is ready", seeder.done)
            other = npm(lab, "webtorrent", "webtorrent.mjs", "get", link_of(torrent), out, port, router)
            lab.until("webtorrent is complete", lambda: "done" in other.output())
            other.stop()
        else:
            other = npm(lab, "webtorrent", "webtorrent.mjs", "seed", torrent, os.path.dirname(target), port, router)
            lab.until("webtorrent seeds", lambda: "done" in other.output())
            leecher = DhtKith(lab, "leech", link_of(torrent), out, lab.ip(31), 20002, stay=False)
            leecher.start()
            lab.until("kith get is complete", leecher.done)
            leecher.finish()
        wrong = payload.differences(target, os.path.join(out, os.path.basename(target)))
        need(not wrong, "; ".join(wrong[:5]))
    return run


def cases():
    return [
        ("dht/kith-alone", alone, 90), ("dht/peers-lt-both-ways", peers_both_ways, 120), ("dht/items-lt-both-ways", items_both_ways, 180),
        ("dht/in-a-network-of-lt", through_libtorrent_only, 120), ("dht/transfer-v1", transfer("v1"), 90),
        ("dht/transfer-hybrid", transfer("hybrid"), 90), ("dht/followed", followed, 120), ("dht/port-messages", port_messages, 60), ("dht/bittorrent-dht", bittorrent_dht, 90),
        ("dht/kith-to-webtorrent", webtorrent("to"), 90), ("dht/webtorrent-to-kith", webtorrent("from"), 90),
    ]
