#!/usr/bin/python3
"""bench_utp.py --kith PATH [--size MIB] [--reps N] [--pairs LIST] [--long S]: uTP beside libtorrent's, in turns.

Pairs are of kith, lt, and tcp, which is kith over TCP alone. On loopback, nothing but uTP: seconds, MiB/s, CPU-seconds for each
GiB. With --long also for S seconds over a link of 50 ms each way and 1 % of loss (tests/tools/linkem.c between two network
namespaces). Everything is in namespaces of its own."""
import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LT = ["/usr/bin/python3", os.path.join(os.path.dirname(HERE), "interop", "lt_client.py")]
MIB = 1 << 20
HZ = os.sysconf("SC_CLK_TCK")


def shell(command):
    subprocess.run(command, shell=True, check=True)


def cpu(pid):
    try:
        f = open("/proc/%d/stat" % pid, encoding="ascii", errors="replace").read().rsplit(")", 1)[1].split()
        return (int(f[11]) + int(f[12])) / HZ
    except OSError:
        return None


class Bench:
    def __init__(self, options, root):
        self.options, self.root = options, root
        self.count = 0

    def content(self, mib):
        path = os.path.join(self.root, "%d.bin" % mib)
        if not os.path.exists(path):
            with open(path, "wb") as f:
                for _ in range(mib):
                    f.write(os.urandom(MIB))
            shell("'%s' create '%s' -o '%s.torrent' -l 1M -q >/dev/null" % (self.options.kith, path, path))
        return path

    def command(self, kind, role, path, out, ends):
        (ip, port), peer = ends
        if kind == "lt":
            folder = self.root if role == "seed" else out
            return LT + [role, path + ".torrent", folder, ip, str(port), "utp"] + ([peer] if role == "leech" else [])
        common = ["--listen", ip, "--port", str(port), "--no-utp" if kind == "tcp" else "--no-tcp", "--no-dht", "--no-lsd", "--state", out + ".state-" + role]
        if role == "seed":
            return [self.options.kith, "share", path, "--torrent", path + ".torrent"] + common
        return [self.options.kith, "get", path + ".torrent", "-o", out, "--peer", peer] + common

    def run(self, seed, leech, mib, limit, long_path=False):
        """One transfer, given up after `limit` seconds; (seconds, share of it that came, CPU-s/GiB of seed and leech)."""
        self.count += 1
        path, out = self.content(mib), os.path.join(self.root, "out%d" % self.count)
        os.makedirs(out)
        ips = ("10.9.0.1", "10.9.0.2") if long_path else ("10.77.1.2", "10.77.1.3")
        within = (lambda ns: ["ip", "netns", "exec", ns]) if long_path else (lambda ns: [])
        log = open(os.path.join(self.root, "log%d" % self.count), "w", encoding="utf-8")
        to_seed = "%s:%d" % (ips[0], 20001)
        s = subprocess.Popen(within("a") + self.command(seed, "seed", path, out, ((ips[0], 20001), None)), stdout=log, stderr=log)
        time.sleep(2 + mib / 300)       # it hashes first
        s0, t0 = cpu(s.pid), time.time()
        with open(out + ".log", "w", encoding="utf-8") as said:
            p = subprocess.Popen(within("b") + self.command(leech, "leech", path, out, ((ips[1], 20002), to_seed)), stdout=said, stderr=log)
        spent, done = 0, False
        while time.time() - t0 < limit and not done:
            spent = cpu(p.pid) or spent
            done = p.poll() is not None if leech != "lt" else "done" in open(out + ".log", encoding="utf-8").read()
            time.sleep(0.01)
        seconds, seed_spent = time.time() - t0, cpu(s.pid) - s0
        copy = os.path.join(out, os.path.basename(path))
        got = mib if done else (os.stat(copy).st_blocks * 512 / MIB if os.path.exists(copy) else 0)
        good = not done or subprocess.call(["cmp", "-s", path, copy]) == 0
        for proc in (p, s):
            proc.kill()
            proc.wait()
        shutil.rmtree(out)
        if not good:
            raise SystemExit("the copy differs")
        gib = max(got, 1) / 1024
        return {"pair": "%s>%s" % (seed, leech), "s": seconds, "rate": got / seconds, "seed": seed_spent / gib, "leech": spent / gib}

    def part(self, title, pairs, mib, reps, limit, long_path):
        print("\n== " + title, flush=True)
        rows = []
        for _ in range(reps):
            for pair in pairs:
                row = self.run(*pair, mib, limit, long_path)
                rows.append(row)
                print("   %-12s %6.2f s %7.2f MiB/s   CPU-s/GiB seed %5.2f leech %5.2f" % tuple(row.values()), flush=True)
        for name in dict.fromkeys(r["pair"] for r in rows):
            mine = [r for r in rows if r["pair"] == name]
            print("median %-9s %8.2f MiB/s   CPU-s/GiB seed %5.2f leech %5.2f" % (
                name, *(statistics.median(r[k] for r in mine) for k in ("rate", "seed", "leech"))), flush=True)


def long_path(bench, pairs, reps, seconds):
    linkem = os.path.join(bench.root, "linkem")
    shell("cc -std=c17 -O2 '%s' -o '%s'" % (os.path.join(os.path.dirname(HERE), "tools", "linkem.c"), linkem))
    shell("mount -t tmpfs none /run && mkdir -p /run/netns && ip netns add a && ip netns add b")
    shell("ip netns exec a ip link set lo up; ip netns exec b ip link set lo up")
    wire = subprocess.Popen([linkem, "a", "ua", "b", "ub", "delay=50", "loss=1"], stdout=subprocess.PIPE)
    wire.stdout.readline()              # "up"
    shell("ip netns exec a ip addr add 10.9.0.1/24 dev ua; ip netns exec b ip addr add 10.9.0.2/24 dev ub")
    shell("ip netns exec a ip link set ua up; ip netns exec b ip link set ub up")
    bench.part("100 ms, 1 %% loss, %d s" % seconds, pairs, 256, reps, seconds, True)
    wire.send_signal(signal.SIGTERM)
    wire.wait()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--kith", required=True)
    p.add_argument("--size", type=int, default=256)
    p.add_argument("--reps", type=int, default=3)
    p.add_argument("--pairs", default="kith:kith,lt:lt")
    p.add_argument("--long", type=int, default=0)
    p.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = p.parse_args()
    if not options.inside:
        os.execvp("unshare", ["unshare", "-rnm", sys.executable, __file__, *sys.argv[1:], "--inside"])
    options.kith = os.path.abspath(options.kith)
    shell("ip link set lo up; ip addr add 10.77.0.1/16 dev lo")
    pairs = [tuple(x.split(":")) for x in options.pairs.split(",")]
    root = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        bench = Bench(options, root)
        if options.size:
            bench.part("loopback, %d MiB" % options.size, pairs, options.size, options.reps, 180, False)
        if options.long:
            long_path(bench, pairs, options.reps, options.long)
    finally:
        shutil.rmtree(root, ignore_errors=True)


main()
