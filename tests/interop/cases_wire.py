"""One strange or hostile peer at a time: every odd message gets the answer that the protocol asks for, floods cost the
flooder more than us, and whoever behaves is served meanwhile. BEP 3, 6, 10."""
import hashlib
import os
import random
import resource
import select
import socket
import struct
import time

import bencode
import peer as wire
from lab import Failed, need, quiet

PORT = 20001
LENGTH, PIECE_LENGTH = 655361, 65536
PIECES = 11
MARK = (1 << 16) - 1                # `begin` of the request that ends a probe: its answer comes after all others
FLOOD = 8 << 20                     # bytes of one flood
GROWTH_KIB = 24 << 10               # what one kind of flood may cost


def content():
    return bytes(((i * 7) + ((i >> 8) * 13) + ((i >> 16) * 31)) & 0xff for i in range(LENGTH))


DATA = content()


def share(lab, asan=False, extra=()):
    """A seed of the small torrent that all were probed with."""
    target = lab.path("probe.bin")
    with open(target, "wb") as f:
        f.write(DATA)
    pieces = b"".join(hashlib.sha1(DATA[i:i + PIECE_LENGTH]).digest() for i in range(0, LENGTH, PIECE_LENGTH))
    info = bencode.encode({"length": LENGTH, "name": "probe.bin", "piece length": PIECE_LENGTH, "pieces": pieces})
    with open(lab.path("probe.torrent"), "wb") as f:
        f.write(b"d4:info" + info + b"e")
    program = lab.options.asan if asan and lab.options.asan else lab.options.kith
    proc = lab.start("kith-share", [program, "share", target, "--torrent", lab.path("probe.torrent"), "--listen", lab.ip(2),
                                    "--port", PORT, *quiet(), "--state", lab.path("state"), *extra])
    lab.until("kith share seeds", lambda: not proc.alive() or "seeding on port" in proc.errors(), 30)
    need(proc.alive(), "kith share ended: " + proc.errors()[-300:])
    return proc, hashlib.sha1(info).digest()


def call(lab, info_hash, n, fast=True):
    """A peer that has shaken hands, from the n-th address."""
    p = wire.Peer((lab.ip(2), PORT), info_hash, lab.ip(n), fast=fast, timeout=10)
    p.theirs = p.shake()
    return p


def interested(p):
    p.send(wire.INTERESTED)
    while p.choked:
        p.receive()
    return p


def ask(index, begin, length):
    return struct.pack(">IBIII", 13, wire.REQUEST, index, begin, length)


def cancel(index, begin, length):
    return struct.pack(">IBIII", 13, wire.CANCEL, index, begin, length)


def name_of(kind, body):
    if kind == wire.PIECE:
        index, begin = struct.unpack(">II", body[:8])
        data = body[8:]
        at = index * PIECE_LENGTH + begin
        return "piece(%d,%d,len=%d%s)" % (index, begin, len(data), "" if DATA[at:at + len(data)] == data else ",WRONG")
    if kind == wire.REJECT:
        return "reject(%d,%d,%d)" % struct.unpack(">III", body)
    return {None: "keep-alive", wire.CHOKE: "choke", wire.UNCHOKE: "unchoke", wire.BITFIELD: "bitfield"}.get(kind, "message %s" % kind)


def answers(p):
    """What came before the answer to the last request of all, or before the end."""
    out = []
    try:
        p.s.sendall(ask(0, MARK, 1))
        while True:
            kind, body = p.receive()
            if kind == wire.PIECE and struct.unpack(">I", body[4:8])[0] == MARK:
                return out
            if kind not in (wire.HAVE, wire.ALLOWED_FAST, None, 20):
                out.append(name_of(kind, body))
    except socket.timeout:
        return out + ["silence"]
    except OSError:
        return out + ["EOF"]


def message(kind, body=b""):
    return struct.pack(">IB", 1 + len(body), kind) + body


# What is sent to an unchoking seed, and what must come back. BEP 6: every request gets a piece or a reject.
PROBES = [
    ("request of 100 bytes", ask(0, 0, 100), ["piece(0,0,len=100)"]),
    ("request of 16384", ask(0, 0, 16384), ["piece(0,0,len=16384)"]),
    ("request of 32768", ask(0, 0, 32768), ["reject(0,0,32768)"]),
    ("request of 65536", ask(0, 0, 65536), ["reject(0,0,65536)"]),
    ("request of nothing", ask(0, 0, 0), ["reject(0,0,0)"]),
    ("unaligned request", ask(0, 100, 16384), ["piece(0,100,len=16384)"]),
    ("request across the piece's end", ask(0, 60000, 16384), ["reject(0,60000,16384)"]),
    ("request past the last byte", ask(10, 0, 16384), ["reject(10,0,16384)"]),
    ("the last byte", ask(10, 0, 1), ["piece(10,0,len=1)"]),
    ("request of a piece that is not there", ask(11, 0, 16384), ["reject(11,0,16384)"]),
    ("request of piece 2^32-1", ask(0xffffffff, 0, 16384), ["reject(4294967295,0,16384)"]),
    ("request at offset 2^32-1", ask(0, 0xffffffff, 16384), ["reject(0,4294967295,16384)"]),
    ("request of 2^32-1 bytes", ask(0, 1, 0xffffffff), ["reject(0,1,4294967295)"]),
    ("cancel of what was not asked", cancel(1, 0, 16384), []),
    ("unknown message", message(99, b"what?"), []),
    ("unknown message of 1 MiB", message(99, bytes((1 << 20) - 1)), []),
    ("second bitfield", message(wire.BITFIELD, b"\0\0"), []),
    ("have twice", message(wire.HAVE, struct.pack(">I", 3)) * 2, []),
    ("unasked piece", message(wire.PIECE, struct.pack(">II", 0, 0) + bytes(16384)), []),
    ("unasked empty piece", message(wire.PIECE, struct.pack(">II", 0, 0)), []),
    ("unasked piece out of range", message(wire.PIECE, struct.pack(">II", 99, 1) + bytes(100)), []),
    ("reject of what was not asked", message(wire.REJECT, struct.pack(">III", 1 << 31, 7, 9)), []),
    ("suggestion out of range", message(wire.SUGGEST, struct.pack(">I", 1 << 31)), []),
    ("allowed-fast out of range", message(wire.ALLOWED_FAST, struct.pack(">I", 1 << 31)), []),
    ("unknown extended message", message(20, b"\x4d123456"), []),
    ("metadata request", message(20, b"\x03d8:msg_typei0e5:piecei0ee"), []),
    ("metadata request out of range", message(20, b"\x03d8:msg_typei0e5:piecei5ee"), []),
    ("metadata message of no type", message(20, b"\x03d8:msg_typei9e5:piecei0ee"), []),
    ("broken extension handshake", message(20, b"\0d1:mi7e4:reqqi-1e1:v3:"), []),
    ("extension handshake twice", message(20, b"\0d4:reqqi1ee") + message(20, b"\0d4:reqqi0ee"), []),
    ("extension handshake of 1 MiB", message(20, b"\0d1:v1048000:" + bytes(1048000) + b"e"), []),
    ("keep-alives", bytes(4000), []),
    ("port message", message(9, b"\0\0"), []),
    ("bitfield too long", message(wire.BITFIELD, b"\xff\xff\xff"), ["EOF"]),
    ("bitfield too short", message(wire.BITFIELD, b"\xff"), ["EOF"]),
    ("have out of range", message(wire.HAVE, struct.pack(">I", 11)), ["EOF"]),
    ("have of wrong length", message(wire.HAVE, b"\0\0\0"), ["EOF"]),
    ("request of wrong length", message(wire.REQUEST, bytes(11)), ["EOF"]),
    ("piece message of 1 MiB", struct.pack(">IBII", (1 << 20) + 100, wire.PIECE, 0, 0) + bytes(1000), ["EOF"]),
    ("message of 4 GiB", b"\xff\xff\xff\xff\x14", ["EOF"]),
    ("extended message without id", message(20), ["EOF"]),
    ("65 unasked pieces", message(wire.PIECE, struct.pack(">II", 0, 0) + bytes(10)) * 65, ["EOF"]),
]


def probes(lab):
    proc, info_hash = share(lab, True)
    for name, sent, expected in PROBES:
        p = interested(call(lab, info_hash, 20))
        try:
            p.s.sendall(sent)
        except OSError:
            pass                        # closed while we send
        got = answers(p)
        p.close()
        need(proc.alive(), "%s: kith died: %s" % (name, proc.errors()[-1500:]))
        need(got == expected, "%s: %s instead of %s" % (name, got, expected))
    greeting(lab, info_hash)
    closer(lab, info_hash)
    every_request_is_answered(lab, info_hash)
    end(lab, proc, info_hash)


def greeting(lab, info_hash):
    """The first messages, and what the handshake says."""
    p = call(lab, info_hash, 20, fast=False)
    reserved, their_hash, _ = p.theirs
    need(their_hash == info_hash and reserved[5] & 0x10 and reserved[7] & 0x04, "reserved bytes %s" % reserved.hex())
    kind, body = p.receive()
    need(kind == wire.BITFIELD and body == b"\xff\xe0", "a seed begins with %s %s" % (kind, body.hex()))
    p.send(wire.BITFIELD, b"\x00\x1f")          # spare bits
    need(answers_without_fast(p) == [], "spare bits end the connection")
    p.close()
    p = call(lab, info_hash, 20)
    need(p.receive()[0] == wire.HAVE_ALL, "a seed with the fast extension begins otherwise")
    p.close()


def answers_without_fast(p):
    """While choked, without the fast extension, a request has no answer; the connection stays."""
    p.s.sendall(ask(0, 0, 16384))
    p.s.settimeout(0.5)
    out = []
    try:
        while True:
            out.append(name_of(*p.receive()))
    except socket.timeout:
        return out
    except OSError:
        return out + ["EOF"]


def closer(lab, info_hash):
    """What is no peer of ours is let go of: at once if it says so, at the end of the time for a handshake if it might be a key."""
    name = b"\x13BitTorrent protocol"
    def until_end(hello, seconds):
        with socket.create_connection((lab.ip(2), PORT), 5, (lab.ip(20), 0)) as s:
            s.settimeout(seconds)
            s.sendall(hello)
            said = b""
            try:
                for part in iter(lambda: s.recv(4096), b""):
                    said += part
            except ConnectionResetError:
                pass
            return said
    need(until_end(name + bytes(48), 5) == b"", "a stranger's torrent is answered")
    need(until_end(name.upper() + bytes(48), 25) == b"", "too little for a key is answered")
    said = until_end(b"GET / HTTP/1.1\r\n" * 8, 25)     # as long as a key: all that it hears is ours, and padding
    need(96 <= len(said) <= 96 + 512 and b"BitTorrent" not in said, "%d bytes of answer to HTTP" % len(said))


def ready(readers, writers, seconds):
    """As select(), for descriptors of any number: other tests of this process may have thousands open."""
    asked = dict.fromkeys(readers, select.POLLIN)
    for s in writers:
        asked[s] = asked.get(s, 0) | select.POLLOUT
    watch, by_number = select.poll(), {}
    for s, events in asked.items():
        watch.register(s, events)
        by_number[s.fileno()] = s
    got = [(by_number[number], events) for number, events in watch.poll(seconds * 1000)]
    # An end or an error counts as both: the next call tells which.
    return ([s for s, events in got if asked[s] & select.POLLIN and events & ~select.POLLOUT],
            [s for s, events in got if asked[s] & select.POLLOUT and events & ~select.POLLIN])


def every_request_is_answered(lab, info_hash):
    """More requests than are kept, cancels at once, chokes: one answer each."""
    p = interested(call(lab, info_hash, 20))
    sent = [(i % 10, 16384 * (i % 4), 100 + i % 7) for i in range(2500)]
    p.s.sendall(b"".join(ask(*r) for r in sent) + cancel(*sent[2000]) + cancel(*sent[-1]))
    left = {}
    for r in sent:
        left[r] = left.get(r, 0) + 1
    rejects = 0
    for _ in sent:
        kind, body = p.receive()
        while kind not in (wire.PIECE, wire.REJECT):
            kind, body = p.receive()
        index, begin = struct.unpack(">II", body[:8])
        length = struct.unpack(">I", body[8:])[0] if kind == wire.REJECT else len(body) - 8
        left[index, begin, length] -= 1
        rejects += kind == wire.REJECT
    need(all(n == 0 for n in left.values()), "some requests were answered twice, some not at all")
    need(answers(p) == [], "more answers than requests")
    p.close()
    # Without it nothing can be refused, so nothing may be lost.
    p = interested(call(lab, info_hash, 20, fast=False))
    many = 30000
    stream = memoryview(b"".join(ask(i % 10, i % 60000, 1) for i in range(many)))
    got, at = 0, 0
    p.s.setblocking(False)
    buf = bytearray()
    end_at = time.monotonic() + 20
    while got < many and time.monotonic() < end_at:
        readable, writable = ready([p.s], [p.s] if at < len(stream) else [], 1)
        if writable:
            at += p.s.send(stream[at:at + (1 << 16)])
        if readable:
            data = p.s.recv(1 << 18)
            need(data, "closed after %d answers" % got)
            buf += data
            got = (len(p.rest) + len(buf)) // 14
    need(got >= many, "%d of %d requests were answered" % (got, many))
    p.close()


def end(lab, proc, info_hash):
    """Still alive, still serving, still ending well."""
    p = interested(call(lab, info_hash, 250))
    need(p.piece(3, PIECE_LENGTH) == DATA[3 * PIECE_LENGTH:4 * PIECE_LENGTH], "a wrong piece was sent")
    p.close()
    code = proc.stop()
    need(code in (0, 7), "SIGINT gave %s: %s" % (code, proc.errors()[-1500:]))


# ---- floods


def cpu(proc):
    fields = open("/proc/%d/stat" % proc.pid, encoding="ascii", errors="replace").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pour(peers, data, seconds, drain=False):
    """Sends the same bytes to all at once, without reading unless `drain`; bytes that were taken, and the peers that stay."""
    left = {p.s: memoryview(data) for p in peers}
    end_at = time.monotonic() + seconds
    while left and time.monotonic() < end_at:
        readable, writable = ready(list(left) if drain else [], list(left), 0.3)
        if not writable and not readable:
            break                       # they read no more
        for s in readable:
            try:
                if not s.recv(1 << 18, socket.MSG_DONTWAIT):
                    left.pop(s)
            except BlockingIOError:
                pass
            except OSError:
                left.pop(s)
        for s in writable:
            try:
                if s in left:
                    left[s] = left[s][s.send(left[s][:1 << 17], socket.MSG_DONTWAIT):]
                    if not left[s]:
                        left.pop(s)
            except BlockingIOError:
                pass
            except OSError:
                left.pop(s, None)
    return time.monotonic() - end_at + seconds


def flood(make, attackers, drain, fast=True):
    """Attackers pour in what `make` gives; memory and CPU stay in bounds and another peer is answered at once."""
    def run(lab):
        proc, info_hash = share(lab)
        honest = interested(call(lab, info_hash, 250))
        honest.piece(0, PIECE_LENGTH)
        bad = [call(lab, info_hash, 20 + i, fast=fast) for i in range(attackers)]
        prelude, data = make()
        for p in bad:
            p.s.sendall(prelude)
        time.sleep(0.2)
        memory, used = proc.status("VmRSS"), cpu(proc)
        pour(bad, data, 6, drain)
        started = time.monotonic()
        need(honest.piece(1, PIECE_LENGTH) == DATA[PIECE_LENGTH:2 * PIECE_LENGTH], "a wrong piece")
        waited = time.monotonic() - started
        grown, used = proc.status("VmRSS") - memory, cpu(proc) - used
        lab.notes.append("%d KiB, %.1f s of CPU, the next was served in %.2f s" % (grown, used, waited))
        need(grown < GROWTH_KIB, "memory grew by %d KiB" % grown)
        need(waited < 2, "a peer that behaves waited %.1f s" % waited)
        need(used < 4, "%.1f s of CPU went into it" % used)
        for p in bad:
            p.close()
        honest.close()
        end(lab, proc, info_hash)
    return run


def times(data, size=FLOOD):
    return data * (size // len(data))


def tiny_requests():
    """A full queue of answers of one byte, which cost more to keep than to send."""
    return message(wire.INTERESTED), times(b"".join(ask(i % 10, i, 1) for i in range(1000)))


def cancels():
    """The longest queue we keep, and cancels that are not in it."""
    return message(wire.INTERESTED) + b"".join(ask(i % 10, 0, 16384) for i in range(7000)), times(cancel(9, 1, 1) * 1000)


def stalled_giants(lab):
    """Many announce the longest message we would skip, and send no more of it."""
    proc, info_hash = share(lab)
    honest = interested(call(lab, info_hash, 250))
    memory = proc.status("VmRSS")
    bad = [call(lab, info_hash, 20 + i) for i in range(150)]
    for kind in (20, 99):
        for p in bad[kind % 2::2]:
            p.s.sendall(struct.pack(">IBB", 1 << 20, kind, 0) + bytes(20000))
    need(honest.piece(1, PIECE_LENGTH) == DATA[PIECE_LENGTH:2 * PIECE_LENGTH], "a wrong piece")
    grown = proc.status("VmRSS") - memory
    lab.notes.append("memory grew by %d KiB" % grown)
    need(grown < GROWTH_KIB, "memory grew by %d KiB" % grown)
    for p in bad + [honest]:
        p.close()
    end(lab, proc, info_hash)


def crowd(lab):
    """Connections that never shake hands, thousands of them, and a swarm full of peers from one address, leave room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 6000)), hard))
    proc, info_hash = share(lab)
    memory = proc.status("VmRSS")
    silent = []
    for n in range(2600):
        try:
            silent.append(socket.create_connection((lab.ip(2), PORT), 10, (lab.ip(20 + n % 200), 0)))
        except OSError:
            break
    started = time.monotonic()
    p = interested(call(lab, info_hash, 19))
    lab.notes.append("beside %d silent ones served in %.2f s" % (len(silent), time.monotonic() - started))
    need(len(silent) == 2600 and time.monotonic() - started < 5, "%d silent ones keep others out" % len(silent))
    p.close()
    need(proc.status("VmRSS") - memory < GROWTH_KIB, "memory grew by %d KiB" % (proc.status("VmRSS") - memory))
    for s in silent:
        s.close()
    full = []
    for _ in range(230):
        try:
            full.append(call(lab, info_hash, 18))
        except OSError:
            pass
    p = interested(call(lab, info_hash, 19))
    need(len(p.piece(2, PIECE_LENGTH)) == PIECE_LENGTH, "a swarm full of one address keeps others out")
    p.close()
    for q in full:
        q.close()
    end(lab, proc, info_hash)


def namesakes(lab):
    """A stranger who uses a peer's id cannot keep it out, and cannot have it thrown out."""
    proc, info_hash = share(lab)
    thief = call(lab, info_hash, 20)
    for n in (21, 22):
        s = socket.create_connection((lab.ip(2), PORT), 5, (lab.ip(n), 0))
        s.sendall(b"\x13BitTorrent protocol" + bytes(8) + info_hash + thief.peer_id)
        p = object.__new__(wire.Peer)
        p.s, p.rest, p.have, p.choked = s, b"", {}, True
        s.settimeout(5)
        p.shake()
        need(len(interested(p).piece(1, PIECE_LENGTH)) == PIECE_LENGTH, "no piece")
        p.close()
    own = thief.theirs[2]
    s = socket.create_connection((lab.ip(2), PORT), 5, (lab.ip(23), 0))
    s.settimeout(5)
    s.sendall(b"\x13BitTorrent protocol" + bytes(8) + info_hash + own)
    while True:
        try:
            if not s.recv(1000):
                break                   # that is ourselves
        except ConnectionResetError:
            break
        except socket.timeout as e:
            raise Failed("a peer with our own id stays") from e
    thief.close()
    end(lab, proc, info_hash)


def cases():
    rng = random.Random(5)
    floods = [
        ("rejects", lambda: (b"", times(ask(3, 7, 99999) * 1000, 6 * FLOOD)), 2, False, True),
        ("rejects-read", lambda: (b"", times(ask(3, 7, 99999) * 1000)), 2, True, True),
        ("tiny-requests", tiny_requests, 8, False, True), ("tiny-requests-plain", tiny_requests, 8, False, False),
        ("cancels", cancels, 2, False, False),
        ("interest", lambda: (b"", times((message(wire.INTERESTED) + message(3)) * 1000)), 8, True, True),
        ("haves", lambda: (b"", times(b"".join(message(wire.HAVE, struct.pack(">I", i % PIECES)) for i in range(1000)))), 4, True, True),
        ("unknown", lambda: (b"", times(message(77, rng.randbytes(3)) * 1000)), 4, True, True),
        ("handshakes", lambda: (b"", times(message(20, b"\0d1:mde4:reqqi9ee") * 1000)), 4, True, True),
        ("chokes", lambda: (b"", times((message(0) + message(1)) * 1000)), 4, True, True),
    ]
    alone = [("wire/probes", probes, 120), ("wire/crowd", crowd, 60), ("wire/stalled-giants", stalled_giants, 60), ("wire/namesakes", namesakes, 30)]
    return alone + [("wire/flood-" + name, flood(make, n, drain, fast), 60) for name, make, n, drain, fast in floods]
