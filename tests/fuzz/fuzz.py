#!/usr/bin/python3
"""fuzz.py BUILD_DIR [SECONDS] [NAME...]: every fuzz entry for SECONDS (20), two at a time. What was learned is kept in
BUILD_DIR/corpus; an input that breaks something is left in BUILD_DIR/findings and makes this fail."""
import concurrent.futures
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def run(build, name, seconds):
    corpus, findings = os.path.join(build, "corpus", name), os.path.join(build, "findings")
    os.makedirs(corpus, exist_ok=True)
    os.makedirs(findings, exist_ok=True)
    given = os.path.join(HERE, "corpus", name[len("fuzz_"):])
    command = [os.path.join(build, "tests/fuzz", name), corpus] + ([given] if os.path.isdir(given) else [])
    command += ["-max_total_time=%d" % seconds, "-timeout=10", "-rss_limit_mb=1024", "-artifact_prefix=%s/%s-" % (findings, name)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    out = done.stdout.decode(errors="replace")
    last = [line for line in out.splitlines() if "cov:" in line][-1:] or ["no coverage reported"]
    return name, done.returncode, last[0].strip(), out


def main(build, seconds=20, *names):
    entries = sorted(f[:-2] for f in os.listdir(HERE) if f.startswith("fuzz_") and f.endswith(".c"))
    entries = [e for e in entries if not names or e in names or e[len("fuzz_"):] in names]
    subprocess.run(["meson", "setup", "--reconfigure", build], stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["ninja", "-C", build, "--quiet"] + ["tests/fuzz/" + e for e in entries], check=True)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, code, last, out in pool.map(lambda e: run(build, e, int(seconds)), entries):
            print("%-4s %-24s %s" % ("ok" if code == 0 else "FAIL", name, last), flush=True)
            if code != 0:
                bad += 1
                print(out[-4000:])
    print("%d entries, %d with findings" % (len(entries), bad))
    return 1 if bad or not entries else 0


sys.exit(main(os.path.abspath(sys.argv[1]), *sys.argv[2:]))
