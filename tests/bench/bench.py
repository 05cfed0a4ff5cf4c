#!/usr/bin/python3
"""bench.py --kith PATH [--quick] [--parts LIST] [--size MIB] [--reps N] [--pairs LIST]: kith beside the other programs.

parts: 1m    one seed, one leech, pieces of 1 MiB          x4, x8  one seed, 4 or 8 leeches
       256k  the same with pieces of 256 KiB               sys     system calls for each MiB (strace, 256 MiB)
       hash  making a torrent, checking content            tr      transmission, 256 MiB: it is too slow for more

Everything is plain TCP on loopback in a network namespace of its own, in turns: A, B, C, A, B, C. A run is from the
'started' announce of the first leech to the 'completed' announce of the last; processor time is user and system of all
threads in that span; MiB/s is measured from the first MiB on the wire. Numbers of different runs of this program do not
compare: a shared machine drifts by more than the differences looked for. Compare the rows of one table."""
import argparse
import json
import mmap
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "interop")]
import bench_hash  # noqa: E402
import bench_tracker  # noqa: E402
import bencode  # noqa: E402
import clients  # noqa: E402
import lab as lablib  # noqa: E402
import payload  # noqa: E402

MIB, GIB = 1 << 20, 1 << 30
HZ = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    """User and system seconds of a process, all threads."""
    try:
        f = open("/proc/%d/stat" % pid, encoding="ascii", errors="replace").read().rsplit(")", 1)[1].split()
        return int(f[11]) / HZ, int(f[12]) / HZ
    except OSError:
        return 0.0, 0.0


def loopback_bytes():
    for line in open("/proc/net/dev", encoding="ascii"):
        if "lo:" in line:
            return int(line.split(":")[1].split()[0])
    return 0


class HeldMemory:
    """Freed memory goes back to the host of a virtual machine after two seconds and is dear to get again. So that no program
    pays for that by chance, as much as the run will want is held here and given up step by step, just before it is needed."""
    AHEAD, STEP, MAX = 64 * MIB, 4 * MIB, 10 * GIB

    def __init__(self, size):
        self.size, self.given = min(size, self.MAX), 0
        self.map = mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)

    def give_up(self, done):
        want = min(done + self.AHEAD, self.size)
        while self.given < want:
            step = min(self.STEP, self.size - self.given)
            self.map.madvise(mmap.MADV_DONTNEED, self.given, step)
            self.given += step

    def close(self):
        self.map.close()


class OtherKith(clients.Kith):
    def start(self):
        self.lab.options.kith, kept = self.lab.options.other, self.lab.options.kith
        super().start()
        self.lab.options.kith = kept


class Bench:
    def __init__(self, root, options):
        self.options = options
        self.lab = lablib.Lab("bench", 0, root, options, 1e9)
        self.root = root
        self.tracker = bench_tracker.Tracker("10.77.0.1", 6969)
        self.count = 0
        self.rows = []

    # ---- preparation

    def content(self, mib):
        folder = os.path.join(self.root, "data%d" % mib)
        path = os.path.join(folder, "f%d.bin" % mib)
        if not os.path.exists(path):
            os.makedirs(folder, exist_ok=True)
            rng = random.Random(mib)
            with open(path, "wb") as f:
                for _ in range(0, mib, 16):
                    f.write(rng.randbytes(min(16, mib) * MIB))
        return path

    def torrent(self, mib, piece):
        out = os.path.join(self.root, "f%d-%d.torrent" % (mib, piece))
        if not os.path.exists(out):
            info = payload.v1_info(self.content(mib), piece, private=True)
            with open(out, "wb") as f:
                f.write(bencode.encode({"announce": self.tracker.url, "info": info}))
        return out

    # ---- one run

    def spawn(self, kind, role, torrent, folder, entry_calls=(None, None)):
        self.count += 1
        ip, port = "10.77.%d.%d" % (1 + self.count // 200, 1 + self.count % 200), 20000 + self.count
        entry = bench_tracker.Entry(ip, port, role == "seed", *entry_calls)
        entry.peer = clients.KINDS[kind](self.lab, role, torrent, folder, ip, port, stay=True)
        entry.kind = kind
        with self.tracker.lock:
            self.tracker.entries[port] = entry
        entry.peer.start()
        return entry

    def pid(self, entry):
        """Its first announce may come before Popen has returned."""
        for _ in range(500):
            if entry.peer.proc is not None:
                return entry.peer.proc.pid
            time.sleep(0.01)
        return 0

    def seed(self, kind, torrent, mib):
        folder = self.content(mib) if kind in ("kith", "old") else os.path.dirname(self.content(mib))
        entry = self.spawn(kind, "seed", torrent, folder)
        self.lab.until("the seed %s announces" % kind, lambda: entry.seeding or not entry.peer.proc.alive(), 180)
        if not entry.peer.proc.alive():
            raise lablib.Failed("seed %s ended: %s" % (kind, entry.peer.proc.errors()[-300:]))
        time.sleep(0.5)
        return entry

    def strace(self, pid, name):
        out = self.lab.path(name)
        tracer = self.lab.start("strace", ["strace", "-c", "-f", "-p", pid, "-o", out], bound=False)
        time.sleep(0.4)
        return tracer, out

    def run(self, seed, kind, torrent, mib, leeches, trace=False):
        marks, tracers, entries = {}, [], []
        seed_pid = self.pid(seed)

        def on_start(entry):
            pid = self.pid(entry)
            if trace:
                tracers.append(("leech",) + self.strace(pid, "strace-%d" % entry.port))
            entry.cpu0 = cpu(pid)
            if "t0" not in marks:
                marks.update(t0=time.time(), seed0=cpu(seed_pid), lo0=loopback_bytes())

        def on_done(entry):
            entry.cpu1 = cpu(entry.peer.proc.pid)
            entry.peak = entry.peer.proc.status("VmHWM") / 1024
            entry.anon = entry.peer.proc.status("RssAnon") / 1024
            marks["seed1"] = cpu(seed_pid)

        held = HeldMemory(leeches * mib * MIB + 256 * MIB)
        seed.active = True
        if trace:
            tracers.append(("seed",) + self.strace(seed_pid, "strace-%d" % seed.port))
        for _ in range(leeches):
            folder = tempfile.mkdtemp(dir=self.root)
            entries.append(self.spawn(kind, "leech", torrent, folder, (on_start, on_done)))
        first, end = None, time.monotonic() + self.options.timeout
        while not all(e.completed for e in entries) and time.monotonic() < end:
            if first is None and "lo0" in marks and loopback_bytes() - marks["lo0"] > MIB:
                first = time.time()
            held.give_up(loopback_bytes() - marks["lo0"] if "lo0" in marks else 0)
            time.sleep(0.005)
        held.close()
        seed.active = False
        calls = {}
        for who, tracer, out in tracers:
            tracer.stop(signal.SIGINT, 10)
            calls[who] = count_calls(out)
        row = {"seed": seed.kind, "leech": kind, "mib": mib, "n": leeches, "ok": all(e.completed for e in entries)}
        if row["ok"]:
            last = max(e.completed for e in entries)
            spent = sum(sum(e.cpu1) - sum(e.cpu0) for e in entries)
            user = sum(e.cpu1[0] - e.cpu0[0] for e in entries)
            row.update(leech_user=user / (mib / 1024) / leeches, wall=last - marks["t0"], rate=mib * leeches / max(last - (first or marks["t0"]), 1e-3),
                       seed_cpu=(sum(marks["seed1"]) - sum(marks["seed0"])) / (mib / 1024), leech_cpu=spent / (mib / 1024) / leeches,
                       seed_rss=seed.peer.proc.status("VmHWM") / 1024, leech_rss=max(e.peak for e in entries),
                       seed_anon=seed.peer.proc.status("RssAnon") / 1024, leech_anon=max(e.anon for e in entries),
                       seed_calls=calls.get("seed", (0, ""))[0] / mib, leech_calls=calls.get("leech", (0, ""))[0] / mib,
                       seed_top=calls.get("seed", (0, ""))[1], leech_top=calls.get("leech", (0, ""))[1])
            if self.options.verify:
                time.sleep(1)
                name = os.path.basename(self.content(mib))
                row["verified"] = all(payload.same(self.content(mib), os.path.join(e.peer.folder, name)) for e in entries)
                row["ok"] = row["verified"]
        for e in entries:
            e.peer.proc.kill()
            shutil.rmtree(e.peer.folder, ignore_errors=True)
            with self.tracker.lock:
                del self.tracker.entries[e.port]
        return row

    def part(self, name, pairs, mib, piece, leeches, reps, trace=False):
        print("\n== %s: %d MiB, pieces of %d KiB, 1 -> %d%s" % (name, mib, piece >> 10, leeches, ", under strace" if trace else ""), flush=True)
        torrent, seeds, rows = self.torrent(mib, piece), {}, []
        for rep in range(reps):
            for pair in pairs:
                a, b = pair.split(":")
                try:
                    if a not in seeds:
                        seeds[a] = self.seed(a, torrent, mib)
                    row = self.run(seeds[a], b, torrent, mib, leeches, trace)
                except lablib.Failed as e:
                    print("%s: %s" % (pair, e), flush=True)
                    continue
                row.update(part=name, rep=rep)
                rows.append(row)
                print(line_of(row, trace), flush=True)
        for entry in seeds.values():
            entry.peer.proc.kill()
            with self.tracker.lock:
                del self.tracker.entries[entry.port]
        summary(rows, trace)
        self.rows += rows


def count_calls(path):
    """Calls in all and the five most frequent, of a strace -c table."""
    rows = []
    try:
        for line in open(path, encoding="ascii", errors="replace"):
            w = line.split()
            if len(w) >= 5 and re.match(r"^[\d.]+$", w[0]) and w[-1] != "total":
                rows.append((int(w[3]), w[-1]))
    except OSError:
        pass
    return sum(n for n, _ in rows), " ".join("%s %d" % (name, n) for n, name in sorted(rows, reverse=True)[:5])


def line_of(row, trace):
    pair = "%s>%s" % (row["seed"], row["leech"])
    if not row["ok"]:
        return "   %-10s NOT COMPLETE" % pair
    if trace:
        return "   %-10s calls/MiB  seed %6.1f (%s)\n   %-10s            leech %5.1f (%s)" % (
            pair, row["seed_calls"], row["seed_top"], "", row["leech_calls"], row["leech_top"])
    return "   %-10s %6.2f s %7.0f MiB/s   CPU-s/GiB seed %5.2f leech %5.2f (user %4.2f)   peak MiB %4.0f %4.0f (anon %3.0f %3.0f)" % (
        pair, row["wall"], row["rate"], row["seed_cpu"], row["leech_cpu"], row["leech_user"], row["seed_rss"], row["leech_rss"], row["seed_anon"], row["leech_anon"])


def medians(rows):
    groups = {}
    for row in rows:
        if row["ok"]:
            groups.setdefault((row["seed"], row["leech"]), []).append(row)
    keys = ("wall", "rate", "seed_cpu", "leech_cpu", "leech_user", "seed_rss", "leech_rss", "seed_anon", "leech_anon", "seed_calls", "leech_calls")
    return {pair: {**{k: statistics.median(r[k] for r in rs) for k in keys}, "k": len(rs)} for pair, rs in groups.items()}


def ratio(a, b):
    return "%.2f" % (a / b) if b else "-"


def summary(rows, trace):
    """Medians, then kith against the best of the others."""
    table = medians(rows)
    bad = sum(1 for r in rows if not r["ok"])
    if bad:
        print("   %d runs did not complete" % bad)
    if not trace:
        print("   medians:")
        for (a, b), m in table.items():
            print("   %-10s k=%d %6.2f s %7.0f MiB/s   CPU-s/GiB seed %5.2f leech %5.2f (user %4.2f)   peak MiB %4.0f %4.0f" % (
                a + ">" + b, m["k"], m["wall"], m["rate"], m["seed_cpu"], m["leech_cpu"], m["leech_user"], m["seed_rss"], m["leech_rss"]))
    own = table.get(("kith", "kith"))
    rivals = {a: m for (a, b), m in table.items() if a == b and a != "kith"}
    if not own or not rivals:
        return
    keys = ("seed_calls", "leech_calls") if trace else ("seed_cpu", "leech_cpu")
    for key in keys:
        best = min(rivals, key=lambda r: rivals[r][key])
        print("   kith>kith against the best rival: %-11s %6.2f : %6.2f (%s) = %s" % (
            key, own[key], rivals[best][key], best, ratio(own[key], rivals[best][key])))
    if trace:
        return
    best = max(rivals, key=lambda r: rivals[r]["rate"])
    print("   kith>kith against the best rival: %-11s %6.0f : %6.0f (%s) = %s" % (
        "MiB/s", own["rate"], rivals[best]["rate"], best, ratio(own["rate"], rivals[best]["rate"])))
    for other, m in rivals.items():     # the same partner on the other side: what only one end costs
        if ("kith", other) in table:
            print("   seeding to %s:  kith %.2f, %s %.2f = %s" % (other, table["kith", other]["seed_cpu"], other, m["seed_cpu"],
                                                                  ratio(table["kith", other]["seed_cpu"], m["seed_cpu"])))
        if (other, "kith") in table:
            print("   leeching from %s: kith %.2f, %s %.2f = %s" % (other, table[other, "kith"]["leech_cpu"], other, m["leech_cpu"],
                                                                    ratio(table[other, "kith"]["leech_cpu"], m["leech_cpu"])))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kith", default="build/src/app/kith")
    parser.add_argument("--other", default="", help="another build of kith: `old` in --pairs")
    parser.add_argument("--parts", default="1m,256k,x4,x8,sys,hash,tr")
    parser.add_argument("--pairs", default="", help="seed:leech,... of kith old lt ar rt tr (default: each with itself, and kith with each)")
    parser.add_argument("--size", type=int, default=2048, help="MiB for one leech")
    parser.add_argument("--swarm-size", type=int, default=512, help="MiB for several")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one run")
    parser.add_argument("--quick", action="store_true", help="256 MiB, one round, parts 1m, sys and hash")
    parser.add_argument("--verify", action="store_true", help="compare every copy")
    parser.add_argument("--out", default="", help="append the runs here, a JSON object a line")
    parser.add_argument("--tmp", default="/tmp", help="where content goes; must be a disk like the one in question")
    options = parser.parse_args()
    options.kith = os.path.abspath(options.kith)
    if options.other:
        options.other = os.path.abspath(options.other)
        clients.KINDS["old"] = OtherKith
    if options.quick:
        options.size, options.swarm_size, options.reps = 256, 128, 1
        options.parts = options.parts if "--parts" in " ".join(sys.argv) else "1m,sys,hash"
    if not lablib.enter_namespace(sys.argv):
        sys.exit("no permission for a network namespace: run as root, or allow unprivileged user namespaces")
    clients.Rtorrent.plain = "none"
    os.environ["LT_POLL"] = "0.5"
    there = [k for k in ("lt", "ar", "rt") if clients.installed(k)]
    have_kith = os.access(options.kith, os.X_OK)
    selves = (["kith:kith"] if have_kith else []) + ["%s:%s" % (k, k) for k in there]
    cross = ["kith:%s" % k for k in there] + ["%s:kith" % k for k in there] if have_kith else []
    given = [p for p in options.pairs.split(",") if p]
    root = tempfile.mkdtemp(prefix="kith-bench-", dir=options.tmp)
    os.makedirs(os.path.join(root, "runs"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(root, options)
    try:
        for part in options.parts.split(","):
            if part == "1m":
                bench.part(part, given or selves + cross, options.size, MIB, 1, options.reps)
            elif part == "256k":
                bench.part(part, given or selves, options.size, MIB // 4, 1, options.reps)
            elif part in ("x4", "x8"):
                bench.part(part, given or selves, options.swarm_size, MIB, int(part[1:]), min(options.reps, 2))
            elif part == "sys":
                if shutil.which("strace"):
                    bench.part(part, given or selves, 256, MIB, 1, 1, trace=True)
            elif part == "tr":
                pairs = given or (["tr:tr", "kith:tr", "tr:kith"] if have_kith else ["tr:tr"])
                if clients.installed("tr"):
                    bench.part(part, pairs, 256, MIB, 1, 1)
            elif part == "hash":
                bench_hash.run(bench, have_kith)
            else:
                sys.exit("no such part: " + part)
    except KeyboardInterrupt:
        return 130
    finally:
        bench.lab.close()
        shutil.rmtree(root, ignore_errors=True)
        if options.out:
            with open(options.out, "a", encoding="utf-8") as f:
                f.writelines(json.dumps(r) + "\n" for r in bench.rows)
    return 0 if all(r["ok"] for r in bench.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
