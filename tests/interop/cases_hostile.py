"""Strangers: random bytes to every port, messages that break the rules, trackers that lie. Never a crash, a hang, or
memory that grows; whoever behaves is still served."""
import os
import random
import socket
import struct
import threading
import time
import urllib.error
import urllib.request

import bencode
import clients
import payload
import peer as wire
from lab import need, quiet

PORT = 20001
GROWTH_KIB = 48 << 10           # what hostile input may cost at most, measured after a first round warmed everything up


def program_of(lab, asan):
    return lab.options.asan if asan and lab.options.asan else lab.options.kith


def died(proc):
    return "%s died with %s: %s" % (proc.name, proc.popen.poll(), proc.errors()[-1500:])


def share(lab, asan):
    target = payload.path_of(lab.root, "small")
    torrent = payload.torrent_of(lab.root, "small", "v1", 65536)
    proc = lab.start("kith-share", [program_of(lab, asan), "share", target, "--torrent", torrent, "--listen", lab.ip(2), "--port", PORT,
                                    *quiet(), "--state", lab.path("state")])
    lab.until("kith share listens", lambda: not proc.alive() or wire_open(lab.ip(2)), 30)
    need(proc.alive(), "kith share ended: " + proc.errors()[-300:])
    return proc, wire.Content(torrent)


def wire_open(ip):
    try:
        socket.create_connection((ip, PORT), 1).close()
        return True
    except OSError:
        return False


def still_serves(lab, content):
    p = wire.Peer((lab.ip(2), PORT), content.hash, lab.ip(9), timeout=45)      # unchoking comes in rounds
    p.shake()
    index = content.pieces - 1
    need(content.good(index, p.piece(index, content.size(index))), "a wrong piece was sent")
    p.close()


def message(rng, kind, body):
    return struct.pack(">IB", 1 + len(body), kind) + body


def attacks(rng, content):
    """One hostile stream: bytes to send, after an empty or a good handshake."""
    shake = b"\x13BitTorrent protocol" + bytes([rng.choice((0, 255)) for _ in range(8)]) + content.hash + rng.randbytes(20)
    u32 = lambda: rng.choice((0, 1, 0xffffffff, 0x7fffffff, 16384, content.pieces, content.pieces - 1, rng.getrandbits(32)))  # noqa: E731
    return rng.choice((
        lambda: rng.randbytes(rng.randrange(1, 5000)),
        lambda: b"GET / HTTP/1.0\r\n\r\n",
        lambda: b"\x13BitTorrent protocol" + bytes(8) + rng.randbytes(40),
        lambda: shake[:rng.randrange(68)],
        lambda: shake + rng.randbytes(rng.randrange(1, 5000)),
        lambda: shake + struct.pack(">IB", rng.getrandbits(32), rng.randrange(24)) + rng.randbytes(100),
        lambda: shake + b"".join(message(rng, rng.randrange(26), rng.randbytes(rng.randrange(64))) for _ in range(200)),
        lambda: shake + message(rng, 2, b"") + b"".join(message(rng, 6, struct.pack(">III", u32(), u32(), u32())) for _ in range(3000)),
        lambda: shake + b"".join(message(rng, 4, struct.pack(">I", u32())) for _ in range(500)),
        lambda: shake + b"".join(message(rng, 7, struct.pack(">II", u32(), u32()) + bytes(rng.randrange(20000))) for _ in range(20)),
        lambda: shake + message(rng, 5, rng.randbytes(rng.choice((0, 1, (content.pieces + 7) // 8, 100000)))),
        lambda: shake + message(rng, 20, b"\0" + b"l" * rng.randrange(20000)),
        lambda: shake + message(rng, 20, b"\0" + bencode.encode({"m": {"ut_metadata": -3, "x" * 500: 9}, "reqq": -1, "v": b"\xff" * 9000})),
        lambda: shake + message(rng, 21, rng.randbytes(48)) * 50,
        lambda: shake + bytes(4 * 20000),
    ))()


def flood(lab, content, seed, count):
    """So many hostile streams, twenty at a time, each from one of many addresses."""
    rng = random.Random(seed)
    for _ in range(count // 20):
        open_now = []
        for _ in range(20):
            try:
                s = socket.create_connection((lab.ip(2), PORT), 2, (lab.ip(rng.randrange(20, 250)), 0))
                s.settimeout(0.1)
                s.sendall(attacks(rng, content))
                open_now.append(s)
            except OSError:
                pass                    # refused, or closed while we send: their right
        for s in open_now:
            try:
                if rng.random() < 0.3:
                    s.recv(65536)
            except OSError:
                pass
            s.close()


def noise_to_peer_port(asan):
    def run(lab):
        proc, content = share(lab, asan)
        flood(lab, content, lab.options.seed, 300)
        need(proc.alive(), died(proc))
        before = proc.status("VmRSS")
        for i in range(1, 4):
            flood(lab, content, lab.options.seed + i, 400)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind((lab.ip(7), 0))
                for n in range(2000):
                    s.sendto(random.randbytes(n % 1500), (lab.ip(2), PORT))
        need(proc.alive(), died(proc))
        grown = proc.status("VmRSS") - before
        need(asan or grown < GROWTH_KIB, "memory grew by %d KiB" % grown)
        still_serves(lab, content)
        lab.until("the connections are gone", lambda: proc.open_files() < 100, 60)
        code = proc.stop()
        need(code in (0, 7), "SIGINT gave %s: %s" % (code, proc.errors()[-1500:]))
        lab.notes.append("memory grew by %d KiB" % grown)
    return run


def many_idle(lab):
    """A thousand connections that say nothing do not keep a leech out."""
    proc, content = share(lab, False)
    idle = []
    for n in range(1000):
        try:
            idle.append(socket.create_connection((lab.ip(2), PORT), 1, (lab.ip(20 + n % 200), 0)))
        except OSError:
            break
    before = proc.status("VmRSS")
    end = time.monotonic() + 60
    while True:                         # silent ones may hold the places for a while, not for good
        try:
            still_serves(lab, content)
            break
        except OSError:
            need(time.monotonic() < end, "nobody is served beside %d silent connections" % len(idle))
            time.sleep(1)
    need(proc.status("VmRSS") - before < GROWTH_KIB, "memory grew")
    for s in idle:
        s.close()
    need(proc.stop() in (0, 7), "no good end")


# ---- our tracker


def announce(url, info_hash, port, **more):
    query = {"info_hash": info_hash, "peer_id": b"-XX0000-%012d" % port, "port": port, "uploaded": 0, "downloaded": 0,
             "left": 1, "compact": 1, **more}
    text = "&".join("%s=%s" % (k, urllib.request.quote(v if isinstance(v, bytes) else str(v))) for k, v in query.items())
    with urllib.request.urlopen(url + "?" + text, timeout=10) as reply:
        return bencode.decode(reply.read())


def noise_to_tracker(asan):
    def run(lab):
        saved, lab.options = lab.options, lab_options(lab, asan)
        tracker = clients.Tracker(lab, "kith", lab.ip(1), [])
        lab.options = saved
        rng = random.Random(lab.options.seed)
        http = [
            lambda: rng.randbytes(rng.randrange(1, 4000)), lambda: b"GET " + b"/" * rng.randrange(100000) + b" HTTP/1.1\r\n\r\n",
            lambda: b"GET /announce?info_hash=%" + rng.randbytes(20).hex().encode() + b" HTTP/1.1\r\n\r\n",
            lambda: b"GET /announce?" + b"info_hash=" + b"%41" * 20 + b"&port=%d&compact=1 HTTP/1.1\r\n\r\n" % rng.getrandbits(40),
            lambda: b"GET /scrape?" + b"&".join(b"info_hash=" + b"%42" * 20 for _ in range(rng.randrange(400))) + b" HTTP/1.1\r\n\r\n",
            lambda: b"POST /announce HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n", lambda: b"GET /announce HTTP/1.1\r\n" + b"X: y\r\n" * 5000,
            lambda: b"\r\n" * 1000, lambda: b"GET /announce HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            lambda: b"GET /stats HTTP/1.0\r\n\r\n", lambda: b"GET /announce?info_hash=" + b"%43" * 20 + b"&peer_id=short&port=0 HTTP/1.1\r\n\r\n",
        ]

        def round_of(count):
            for _ in range(count):
                try:
                    s = socket.create_connection((tracker.ip, tracker.PORT), 2, (lab.ip(rng.randrange(20, 250)), 0))
                    s.settimeout(0.1)
                    s.sendall(rng.choice(http)())
                    if rng.random() < 0.2:
                        s.recv(65536)
                    s.close()
                except OSError:
                    pass
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind((lab.ip(8), 0))
                for _ in range(5 * count):
                    kind = rng.randrange(5)
                    head = struct.pack(">QII", rng.choice((0x41727101980, rng.getrandbits(64))), kind, rng.getrandbits(32))
                    s.sendto(rng.choice((head, head + rng.randbytes(rng.randrange(1400)), rng.randbytes(rng.randrange(1, 1400)))),
                             (tracker.ip, tracker.PORT))

        round_of(300)
        need(tracker.proc.alive(), died(tracker.proc))
        before = tracker.proc.status("VmRSS")
        for _ in range(3):
            round_of(500)
        need(tracker.proc.alive(), died(tracker.proc))
        grown = tracker.proc.status("VmRSS") - before
        need(asan or grown < GROWTH_KIB, "memory grew by %d KiB" % grown)
        behaves(lab, tracker)
        tracker.finish()
        lab.notes.append("memory grew by %d KiB" % grown)
    return run


def lab_options(lab, asan):
    class Options:
        kith = program_of(lab, asan)
    return Options


def behaves(lab, tracker):
    """Announce, find each other, scrape, stop: over HTTP."""
    url, h = tracker.url("http"), bytes(range(20))
    announce(url, h, 1001, event="started", left=0)
    got = announce(url, h, 1002, event="started")
    need(b"peers" in got and got.get(b"interval", 0) > 0, "no good answer: %r" % got)
    ports = {struct.unpack(">H", got[b"peers"][i + 4:i + 6])[0] for i in range(0, len(got[b"peers"]), 6)}
    need(1001 in ports, "the seed is not named: %s" % ports)
    announce(url, h, 1003, event="started", left=0)
    seed_got = announce(url, h, 1003, left=0)           # with `started` it might be a magnet of aria2, which has left=0, too
    ports = {struct.unpack(">H", seed_got[b"peers"][i + 4:i + 6])[0] for i in range(0, len(seed_got[b"peers"]), 6)}
    need(1001 not in ports, "a seed is given to a seed")
    scrape = url.replace("announce", "scrape") + "?info_hash=" + urllib.request.quote(h)
    with urllib.request.urlopen(scrape, timeout=10) as reply:
        row = bencode.decode(reply.read())[b"files"][h]
    need(row[b"complete"] == 2 and row[b"incomplete"] == 1, "scrape: %r" % row)
    announce(url, h, 1001, event="stopped", left=0)


def tracker_behaves(lab):
    tracker = clients.Tracker(lab, "kith", lab.ip(1), [])
    behaves(lab, tracker)
    # The same over UDP (BEP 15).
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((lab.ip(5), 0))
        s.settimeout(5)
        s.connect((tracker.ip, tracker.PORT))
        s.send(struct.pack(">QII", 0x41727101980, 0, 7))
        action, tid, cid = struct.unpack(">IIQ", s.recv(100))
        need((action, tid) == (0, 7), "connect: %d %d" % (action, tid))
        s.send(struct.pack(">QII20s20sQQQIIIiH", cid, 1, 8, bytes(range(20)), b"-XX0000-000000000009", 0, 5, 0, 2, 0, 1, -1, 1009))
        b = s.recv(2000)
        need(struct.unpack(">II", b[:8]) == (1, 8) and len(b) >= 20 + 6, "announce: %r" % b)
        s.send(struct.pack(">QII20s", cid, 2, 9, bytes(range(20))))
        b = s.recv(2000)
        need(struct.unpack(">II", b[:8]) == (2, 9) and len(b) == 8 + 12, "scrape: %r" % b)
        s.send(struct.pack(">QII20s", cid ^ 1, 2, 10, bytes(range(20))))
        try:
            b = s.recv(2000)
            need(struct.unpack(">I", b[:4])[0] == 3, "a forged connection id was accepted")
        except socket.timeout:
            pass
    tracker.finish()


def whitelist(lab):
    listed, other = bytes(range(20)), bytes(range(1, 21))
    with open(lab.path("white"), "w", encoding="ascii") as f:
        f.write(listed.hex() + "\n")
    tracker = clients.Tracker(lab, "kith", lab.ip(1), [], ("--whitelist", lab.path("white")))
    need(b"peers" in announce(tracker.url("http"), listed, 1001), "a listed torrent is refused")
    try:
        need(b"failure reason" in announce(tracker.url("http"), other, 1001), "a torrent that is not listed is served")
    except urllib.error.HTTPError:
        pass
    tracker.finish()


# ---- trackers that lie to us


def bad_server(lab, mode):
    """A broken HTTP tracker on lab.ip(1):8080, in a thread; returns the count of requests it saw."""
    server = socket.create_server((lab.ip(1), 8080))
    seen = []
    good = bencode.encode({"interval": 1800, "peers": b""})
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    replies = {
        "truncated": [head + b"Content-Length: 5000\r\n\r\n" + good],
        "half-bencode": [head + b"Content-Length: 20\r\n\r\nd8:intervali1800e5:p"],
        "500": [b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"],
        "503-empty": [b"HTTP/1.1 503 Busy\r\n\r\n"],
        "redirect-loop": [b"HTTP/1.1 302 Found\r\nLocation: http://%s:8080/announce?again=1\r\nContent-Length: 0\r\n\r\n" % lab.ip(1).encode()],
        "redirect-to-file": [b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"],
        "garbage": [random.Random(1).randbytes(3000)],
        "garbage-body": [head + b"Content-Length: 3000\r\n\r\n" + random.Random(2).randbytes(3000)],
        "deep": [head + b"Content-Length: 200000\r\n\r\n" + b"l" * 200000],
        "endless": [head + b"\r\n"] + [b"A" * (1 << 20)] * 400,
        "silent": [],
        "wrong-types": [head + b"\r\n" + bencode.encode({"interval": b"soon", "peers": 7, "peers6": -1})],
        "wild": [head + b"\r\n" + bencode.encode({"interval": -5, "min interval": 1 << 62, "peers": b"\0" * 6 * 5000 + b"xyz"})],
        "failure": [head + b"\r\n" + bencode.encode({"failure reason": b"\x1b[31mno\r\nway" + b"!" * 100000})],
        "gzip-bomb": [head + b"Content-Encoding: gzip\r\n\r\n" + bomb()],
    }[mode]

    def serve():
        while True:
            try:
                s, _ = server.accept()
            except OSError:
                return
            seen.append(s)
            threading.Thread(target=answer, args=(s,), daemon=True).start()

    def answer(s):
        try:
            s.settimeout(20)
            s.recv(65536)
            for part in replies:
                s.sendall(part)
            if mode == "silent":
                time.sleep(60)
            s.close()
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    lab.cleanups.append(server.close)
    return seen


def bomb():
    import zlib
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(z.compress(bytes(1 << 20)) for _ in range(300)) + z.flush()


def lying_tracker(mode):
    """With a broken first tracker the transfer still completes by a given peer, in little memory."""
    def run(lab):
        seen = bad_server(lab, mode)
        target = payload.path_of(lab.root, "small")
        plain = payload.torrent_of(lab.root, "small", "v1", 65536)
        torrent = payload.with_trackers(plain, lab.path("t.torrent"), [["http://%s:8080/announce" % lab.ip(1)]])
        program = lab.options.asan or lab.options.kith
        common = quiet()
        seeder = lab.start("share", [program, "share", target, "--torrent", torrent, "--listen", lab.ip(2), "--port", PORT,
                                     "--state", lab.path("s2"), *common])
        lab.until("the tracker was asked", lambda: len(seen) > 0 or not seeder.alive(), 30)
        lab.until("kith share listens", lambda: wire_open(lab.ip(2)), 30)
        if mode != "silent":
            time.sleep(3)               # a fast retry would show as many requests
        need(seeder.alive(), died(seeder))
        need(len(seen) < 60, "%d requests within seconds" % len(seen))
        get = lab.run("get", [program, "get", torrent, "-o", lab.path("out"), "--listen", lab.ip(3), "--port", PORT + 1, "--state", lab.path("s3"),
                              "--peer", "%s:%d" % (lab.ip(2), PORT), *common], seconds=60)
        need(get.code == 0, "kith get: %d %s" % (get.code, get.errors()[-1500:]))
        need(not payload.differences(target, lab.path("out/small.bin")), "the copy differs")
        peak = seeder.status("VmHWM")
        need(lab.options.asan or peak < 160 << 10, "%d KiB at the peak" % peak)
        need("\x1b" not in seeder.errors() + get.errors() + get.output(), "a tracker's escape sequence reached the terminal")
        code = seeder.stop(seconds=15)
        need(code in (0, 7), "SIGINT gave %s" % code)
    return run


def liar_in_swarm(lab):
    """A peer that claims to have everything and sends rubbish is found out; the copy is right all the same."""
    target = payload.path_of(lab.root, "small")
    torrent = payload.torrent_of(lab.root, "small", "v1", 65536)
    content = wire.Content(torrent)
    server = socket.create_server((lab.ip(4), PORT))
    served = [0]

    def lie(s):
        try:
            p = object.__new__(wire.Peer)
            p.s, p.rest, p.have, p.choked = s, b"", {}, True
            p.shake()
            s.sendall(b"\x13BitTorrent protocol" + bytes(8) + content.hash + b"-XX0000-liarliarliar")
            p.send(wire.BITFIELD, bytes([0xff] * (content.pieces // 8)) + (bytes([0xff00 >> content.pieces % 8 & 0xff]) if content.pieces % 8 else b""))
            p.send(wire.UNCHOKE)
            while True:
                kind, body = p.receive()
                if kind == wire.REQUEST:
                    index, begin, n = struct.unpack(">III", body)
                    p.send(wire.PIECE, struct.pack(">II", index, begin) + os.urandom(n))
                    served[0] += n
        except OSError:
            s.close()

    def serve():
        while True:
            try:
                threading.Thread(target=lie, args=(server.accept()[0],), daemon=True).start()
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    lab.cleanups.append(server.close)
    seeder = clients.Kith(lab, "seed", torrent, target, lab.ip(2), PORT)
    seeder.extra = ("--up", "1M")
    seeder.start()
    lab.until("kith share is ready", seeder.done)
    get = lab.run("get", [lab.options.kith, "get", torrent, "-o", lab.path("out"), "--listen", lab.ip(3), "--port", PORT + 1, *quiet(),
                          "--state", lab.path("s3"), "--peer", "%s:%d" % (lab.ip(4), PORT), "--peer", "%s:%d" % (lab.ip(2), PORT)],
                  seconds=90)
    need(get.code == 0, "kith get: %d %s" % (get.code, get.errors()[-500:]))
    need(not payload.differences(target, lab.path("out/small.bin")), "the copy differs")
    need(0 < served[0] < 3 * content.total, "the liar served %d bytes" % served[0])
    lab.notes.append("the liar got rid of %d KiB" % (served[0] >> 10))
    seeder.finish()


def cases():
    out = [("noise/peer-port", noise_to_peer_port(False), 180), ("noise/peer-port-sanitized", noise_to_peer_port(True), 240),
           ("noise/tracker", noise_to_tracker(False), 120), ("noise/tracker-sanitized", noise_to_tracker(True), 150),
           ("noise/many-idle", many_idle, 120), ("noise/liar-in-swarm", liar_in_swarm, 120),
           ("tracker/behaves", tracker_behaves, 60), ("tracker/whitelist", whitelist, 60)]
    for mode in ("truncated", "half-bencode", "500", "503-empty", "redirect-loop", "redirect-to-file", "garbage", "garbage-body", "deep",
                 "endless", "silent", "wrong-types", "wild", "failure", "gzip-bomb"):
        out.append(("lying-tracker/" + mode, lying_tracker(mode), 120))
    return out
