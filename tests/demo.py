#!/usr/bin/python3
"""demo.py --kith PATH [--file FILE] [--leeches N] [--up MIB]: the main job on real input.

A Debian package of over a hundred megabytes (or FILE) goes from one seed to four leechers over a tracker of ours. Every
uplink is capped, so that the seed alone would be slow: what makes it fast is that the leechers serve each other."""
import argparse
import ctypes
import filecmp
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PACKAGE = "debian-installer-12-netboot-amd64"
MIB = 1 << 20


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def fetch_package(folder):
    """The package file; downloaded once by apt, then kept."""
    os.makedirs(folder, exist_ok=True)
    found = sorted(glob.glob(os.path.join(folder, PACKAGE + "_*.deb")))
    if not found:
        command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", PACKAGE]
        print("+", " ".join(command), flush=True)
        for attempt in range(2):
            if subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False).returncode == 0:
                break
            if attempt == 0:
                sudo = [] if os.geteuid() == 0 else ["sudo"]
                print("+", " ".join(sudo + ["apt-get", "update"]), flush=True)
                subprocess.run(sudo + ["apt-get", "-qq", "update"], stdin=subprocess.DEVNULL, check=False)
        found = sorted(glob.glob(os.path.join(folder, PACKAGE + "_*.deb")))
    if not found:
        sys.exit("cannot download %s; give a file of your own: ./run demo --file FILE" % PACKAGE)
    return found[-1]


class Program:
    """kith as a child; its JSON lines are read as they come."""

    def __init__(self, name, command, folder):
        self.name, self.last, self.done_at, self.started = name, {}, None, time.monotonic()
        self.errors = os.path.join(folder, name.replace(" ", "-") + ".err")
        with open(self.errors, "wb") as err:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, cwd=folder,
                                          preexec_fn=die_with_parent)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.popen.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("type") == "progress":
                self.last.update(event)
            if event.get("type") in ("done", "seeding", "progress") and self.done_at is None:
                if event["type"] == "done" or (event.get("size") and event.get("done") == event.get("size")):
                    self.done_at = time.monotonic()

    def share(self):
        size = self.last.get("size") or 0
        return 1.0 if self.done_at else (self.last.get("done", 0) / size if size else 0.0)

    def sent(self):
        return self.last.get("up_bytes", 0)

    def check(self):
        if self.popen.poll() is not None:
            sys.exit("%s ended with %d: %s" % (self.name, self.popen.returncode, open(self.errors, encoding="utf-8").read()[-500:]))

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        self.popen.wait()


def free_port(ip):
    with socket.socket() as s:
        s.bind((ip, 0))
        return s.getsockname()[1]


def wait_for(ip, port, program):
    end = time.monotonic() + 15
    while time.monotonic() < end:
        program.check()
        try:
            socket.create_connection((ip, port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("%s does not listen" % program.name)


def draw(leeches, seed, started, terminal, lines):
    """The bars; on a terminal in place of the bars before, elsewhere as one line."""
    if not terminal:
        print("%5.1f s  %s" % (time.monotonic() - started, "  ".join("%3.0f%%" % (100 * x.share()) for x in leeches)), flush=True)
        return 0
    if lines:
        print("\033[%dA" % lines, end="")
    for x in leeches:
        bar = "█" * int(28 * x.share())
        rate = x.last.get("down", 0) / MIB if x.done_at is None else 0
        print("\033[K %-10s %-28s %3.0f%%  down %6.1f MiB/s  up %6.1f MiB/s" % (x.name, bar, 100 * x.share(), rate, x.last.get("up", 0) / MIB))
    print("\033[K %-10s %-28s       sent %6.1f MiB  up %6.1f MiB/s" % ("seed", "", seed.sent() / MIB, seed.last.get("up", 0) / MIB), flush=True)
    return len(leeches) + 1


def table(leeches, seed, size, started, cap):
    print("\n%-10s %9s %12s %12s" % ("", "time", "mean rate", "sent"))
    for x in leeches:
        took = x.done_at - started
        print("%-10s %7.1f s %6.1f MiB/s %8.1f MiB" % (x.name, took, size / MIB / took, x.sent() / MIB))
    print("%-10s %9s %12s %8.1f MiB" % ("seed", "", "", seed.sent() / MIB))
    took = max(x.done_at for x in leeches) - started
    sent = seed.sent() + sum(x.sent() for x in leeches)
    alone = size * len(leeches) / (cap * MIB)
    print("\n%d copies of %.1f MiB in %.1f s: %.1f MiB/s in all, each uplink capped at %d MiB/s" %
          (len(leeches), size / MIB, took, size * len(leeches) / MIB / took, cap))
    print("the seed alone would have needed %.0f s" % alone)
    if sent:
        print("%.0f %% of the data came from other leechers, %.0f %% from the seed" %
              (100 * (1 - seed.sent() / sent), 100 * seed.sent() / sent))


def run(options, work, programs):
    kith, target = options.kith, options.file
    size = os.path.getsize(target)
    print("payload: %s, %.1f MiB" % (os.path.basename(target), size / MIB))
    port = free_port("127.0.0.1")
    tracker = Program("tracker", [kith, "tracker", "--listen", "127.0.0.1", "--http", str(port)], work)
    programs.append(tracker)
    wait_for("127.0.0.1", port, tracker)
    torrent = os.path.join(work, "demo.torrent")
    subprocess.run([kith, "create", target, "-o", torrent, "--tracker", "http://127.0.0.1:%d/announce" % port], check=True)

    def common(ip, name):
        return ["--listen", ip, "--port", str(free_port(ip)), "--up", "%dM" % options.up, "--no-dht", "--no-lsd",
                "--state", os.path.join(work, "state-" + name), "--json"]

    started = time.monotonic()
    seed = Program("seed", [kith, "share", target, "--torrent", torrent] + common("127.0.0.2", "seed"), work)
    programs.append(seed)
    leeches = []
    for n in range(options.leeches):
        name = "leecher %d" % (n + 1)
        out = os.path.join(work, "copy-%d" % n)
        os.makedirs(out)
        leeches.append(Program(name, [kith, "get", torrent, "-o", out, "--seed"] + common("127.0.0.%d" % (3 + n), str(n)), work))
        programs.append(leeches[-1])
    terminal, lines, shown = sys.stdout.isatty() and os.environ.get("TERM") != "dumb", 0, 0.0
    while not all(x.done_at for x in leeches):
        for x in programs:
            x.check()
        if time.monotonic() - started > options.timeout:
            sys.exit("not complete after %d s" % options.timeout)
        if time.monotonic() - shown > (0.25 if terminal else 2):
            lines, shown = draw(leeches, seed, started, terminal, lines), time.monotonic()
        time.sleep(0.05)
    draw(leeches, seed, started, terminal, lines)
    time.sleep(1.2)                     # the last counters come with the next progress line
    table(leeches, seed, size, started, options.up)
    good = True
    for n in range(options.leeches):
        copy = os.path.join(work, "copy-%d" % n, os.path.basename(target))
        same = filecmp.cmp(target, copy, shallow=False)
        good &= same
        print("copy %d: %s" % (n + 1, "equal, byte for byte" if same else "DIFFERS"))
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kith", default="build/src/app/kith")
    parser.add_argument("--file", default="")
    parser.add_argument("--leeches", type=int, default=4)
    parser.add_argument("--up", type=int, default=16, help="cap of every uplink, MiB/s")
    parser.add_argument("--timeout", type=int, default=120)
    options = parser.parse_args()
    options.kith = os.path.abspath(options.kith)
    build = os.path.abspath(os.path.join(os.path.dirname(options.kith), "../.."))
    options.file = os.path.abspath(options.file) if options.file else fetch_package(os.path.join(build, "demo-cache"))
    work = tempfile.mkdtemp(prefix="demo-", dir=build)
    programs = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(options, work, programs)
    except KeyboardInterrupt:
        return 130
    finally:
        for program in reversed(programs):
            program.stop()
        shutil.rmtree(work, ignore_errors=True)


sys.exit(main())
