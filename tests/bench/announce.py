#!/usr/bin/python3
"""announce.py [--kith PATH] [--load PATH] [--reps N] [--peers N] [--seconds S]: kith tracker beside opentracker, in turns.
Everything is on loopback in a network namespace of its own, the tracker on one core and the load on another. The figure that
compares is the tracker's processor time for each announce; a shared machine's announces per second do not."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "interop")]
import clients  # noqa: E402
import lab as lablib  # noqa: E402

SWARMS = 10000


def mix64(x):
    """src/base/rng.c: the hashes that the load announces."""
    mask = (1 << 64) - 1
    x = ((x ^ (x >> 30)) * 0xbf58476d1ce4e5b9) & mask
    x = ((x ^ (x >> 27)) * 0x94d049bb133111eb) & mask
    return x ^ (x >> 31)


def hashes():
    return [bytes((mix64(s * 20 + i) >> 24) & 0xff for i in range(20)) for s in range(SWARMS)]


def run(lab, kind, modes, options):
    tracker = clients.Tracker(lab, kind, lab.ip(1), hashes() if kind == "ot" else [])
    pid = tracker.proc.pid
    os.sched_setaffinity(pid, {0})
    rows = []
    for mode in modes:
        done = subprocess.run(["taskset", "-c", "1", options.load, mode, lab.ip(1), str(tracker.PORT), str(pid), str(options.peers), str(SWARMS),
                               str(options.seconds)], stdout=subprocess.PIPE, check=False, timeout=300)
        for line in done.stdout.decode().splitlines():
            row = dict(json.loads(line), tracker=kind)
            rows.append(row)
            print("%-5s %-10s %-7s %8d requests  %7d/s  %6.2f us CPU each  bad %d  lost %d%s" % (
                kind, mode, row["phase"], row["requests"], row["per_s"], row["cpu_us"], row["bad"], row["lost"],
                "  %.1f bytes a peer" % row["bytes_per_peer"] if row["phase"] == "fill" else ""), flush=True)
    tracker.finish()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kith", default="build/src/app/kith")
    parser.add_argument("--load", default="build/tests/unit/plat/bench_announce")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--peers", type=int, default=640000)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    options.kith, options.load = os.path.abspath(options.kith), os.path.abspath(options.load)
    if not clients.installed("ot"):
        sys.exit("opentracker is not installed")
    if not lablib.enter_namespace(sys.argv):
        sys.exit("no permission for a network namespace")
    root = tempfile.mkdtemp(prefix="kith-bench-")
    os.chmod(root, 0o755)
    os.makedirs(os.path.join(root, "runs"))
    rows = []
    try:
        for rep in range(options.reps):
            for slot, (kind, modes) in enumerate((("kith", ("udp", "http", "http-keep")), ("ot", ("udp", "http")))):
                lab = lablib.Lab("announce-%d-%s" % (rep, kind), slot, root, options, 600)
                try:
                    rows += run(lab, kind, modes, options)
                finally:
                    lab.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)

    def median(kind, mode, phase, key="cpu_us"):
        return statistics.median(r[key] for r in rows if (r["tracker"], r["mode"], r["phase"]) == (kind, mode, phase))

    print("medians of %d, opentracker / kith, CPU time for each announce:" % options.reps)
    for theirs, ours, phase in (("udp", "udp", "fill"), ("udp", "udp", "steady"), ("http", "http", "steady"), ("http", "http-keep", "steady")):
        a, b = median("ot", theirs, phase), median("kith", ours, phase)
        print("  %-10s %-7s %6.2f / %6.2f us = %.2f" % (ours, phase, a, b, a / b))
    print("  bytes a peer: %.1f / %.1f" % (median("ot", "udp", "fill", "bytes_per_peer"), median("kith", "udp", "fill", "bytes_per_peer")))
    return 0 if all(r["bad"] == 0 for r in rows) else 1


sys.exit(main())
