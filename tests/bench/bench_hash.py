"""Making torrents and checking content: kith beside the others, and beside what the processor can do at all."""
import os
import re
import shutil
import statistics
import subprocess
import time

import clients


def timed(lab, command):
    """Wall seconds, processor seconds, peak MiB and exit code. The peak is looked up while it runs: what wait4 tells of it
    begins with the size of the parent."""
    started, peak = time.monotonic(), 0
    with open(lab.path("hash.log"), "wb") as log:
        child = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=lab.folder)
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        try:
            for line in open("/proc/%d/status" % child.pid, encoding="ascii", errors="replace"):
                if line.startswith("VmHWM:"):
                    peak = max(peak, int(line.split()[1]))
        except OSError:
            pass
        time.sleep(0.01)
    child.returncode = os.waitstatus_to_exitcode(status)
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, peak / 1024, child.returncode


def openssl_speed(threads):
    """SHA-1 in MiB/s, as `openssl speed` has it."""
    command = ["openssl", "speed", "-seconds", "1", "-bytes", "16384", "-multi", str(threads), "-evp", "sha1"]
    try:
        text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
        return float(re.findall(r"([\d.]+)k\s*$", text.strip())[0]) * 1000 / (1 << 20)
    except (OSError, IndexError):
        return 0.0


def rows(bench, have_kith, path, torrent):
    kith, out = bench.options.kith, bench.lab.path("made.torrent")
    folder, lt_client = os.path.dirname(path), os.path.join(clients.HERE, "lt_client.py")
    make = "import sys; sys.path.insert(0, %r); import payload; open(%r, 'wb').write(payload.with_libtorrent(%r, %r, 1 << 20))"
    if have_kith:
        for version in ("v1", "v2", "hybrid"):
            yield "create", "kith " + version, [kith, "create", path, "-o", out, "--" + version, "--piece-length", "1048576", "-q"]
        yield "check", "kith verify", [kith, "verify", torrent, folder, "-q"]
    if shutil.which("mktorrent"):
        yield "create", "mktorrent v1", ["mktorrent", "-l", "20", "-a", "http://x/", "-o", out, path]
    if shutil.which("transmission-create"):
        yield "create", "transmission v1", ["transmission-create", "-s", "1024", "-o", out, path]
    if clients.installed("lt"):
        for version in ("v1", "v2", "hybrid"):
            yield "create", "libtorrent " + version, [clients.PYTHON, "-c", make % (clients.HERE, out, path, version)]
        yield "check", "libtorrent", [clients.PYTHON, lt_client, "check", torrent, folder, "10.77.200.1", "7777", "tcp"]
    if clients.installed("ar"):
        yield "check", "aria2", ["aria2c", "-V", "--hash-check-only=true", "--enable-dht=false", "--enable-dht6=false", "-d", folder, torrent]


def run(bench, have_kith):
    mib = bench.options.size
    path, torrent = bench.content(mib), bench.torrent(mib, 1 << 20)
    print("\n== hash: %d MiB, pieces of 1 MiB, in the page cache" % mib)
    cores = os.cpu_count() or 1
    print("   openssl speed sha1: %.0f MiB/s on one core, %.0f MiB/s on %d" % (openssl_speed(1), openssl_speed(cores), cores), flush=True)
    with open(path, "rb") as f:
        while f.read(1 << 22):
            pass
    results = {}
    for _ in range(bench.options.reps):
        for what, name, command in rows(bench, have_kith, path, torrent):
            made = bench.lab.path("made.torrent")
            if os.path.exists(made):
                os.unlink(made)
            results.setdefault((what, name), []).append(timed(bench.lab, command))
    for (what, name), all_of in sorted(results.items()):
        wall, cpu, peak = (statistics.median(r[i] for r in all_of) for i in range(3))
        bad = "" if all(r[3] == 0 for r in all_of) else "   FAILED"
        print("   %-7s %-16s k=%d %6.2f s  %6.0f MiB/s  CPU %5.2f s  peak %5.0f MiB%s" % (what, name, len(all_of), wall, mib / wall, cpu, peak, bad))
