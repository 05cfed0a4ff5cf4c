#!/usr/bin/python3
"""run.py --kith PATH [--asan PATH] [--only REGEX,...] [--list] [-j N]: kith against programs that we did not write.
Everything happens in a network namespace of its own, where every 10.77.x.y is local; without one the tests are skipped.
--foreign tries the harness itself: the other programs among themselves, no kith. --keep keeps the work folder."""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lab as lablib  # noqa: E402


def gather(options):
    import cases_transfer
    if options.foreign:
        found = cases_transfer.foreign_cases()
    else:
        found = cases_transfer.cases()
        for name in ("cases_dht", "cases_files", "cases_hostile", "cases_wire", "cases_utp", "cases_crash", "cases_magnet", "cases_pex",
                     "cases_find", "cases_reach", "cases_web", "cases_many", "cases_user"):
            found += __import__(name).cases()
    words = [w for w in options.only.split(",") if w]
    chosen = [c for c in found if not words or any(re.search(w, c[0]) for w in words)]
    # The slow ones first, so that none is left over at the end. transmission waits for pulses of its own.
    return sorted(chosen, key=lambda c: -c[2] - 1000 * ("-tr/" in c[0] or "tr-to" in c[0]))


def run_one(case, slot, root, options):
    name, function, seconds = case
    started = time.monotonic()
    lab = lablib.Lab(name, slot, root, options, seconds)
    result, text = "OK", ""
    try:
        function(lab)
    except lablib.Skipped as e:
        result, text = "SKIP", str(e)
    except lablib.Failed as e:
        result, text = "FAIL", str(e)
    except Exception:                   # a bug of the harness is a failure of the test, with its place
        result, text = "ERROR", traceback.format_exc(limit=-3)
    finally:
        lab.close()
    if result in ("OK", "SKIP"):
        shutil.rmtree(lab.folder, ignore_errors=True)
    return name, result, "; ".join([text] * bool(text) + lab.notes), time.monotonic() - started, lab.folder


def keep_logs(folder, logs):
    """What a failure leaves: the logs and small files, not the payload."""
    target = os.path.join(logs, os.path.basename(folder))
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    for name in os.listdir(folder):
        full = os.path.join(folder, name)
        if os.path.isfile(full) and os.path.getsize(full) < 1 << 20:
            shutil.copy(full, target)
    return target


def tail_of_logs(folder):
    out = []
    for name in sorted(os.listdir(folder)):
        full = os.path.join(folder, name)
        if name.endswith((".log", ".err")) and os.path.isfile(full) and os.path.getsize(full):
            out.append("    %s: %s" % (name, open(full, encoding="utf-8", errors="replace").read()[-600:].rstrip().replace("\n", "\n      ")))
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kith", default="build/src/app/kith")
    parser.add_argument("--asan", default="", help="a build with sanitizers, for the hostile input")
    parser.add_argument("--only", default="", help="tests whose name one of these expressions is found in: ^kith/,udp")
    parser.add_argument("--json", default="", help="results as Meson logs them")
    parser.add_argument("--logs", default="", help="where logs of failures go (default: interop-logs beside the program)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-j", type=int, default=4, help="tests at a time; most of them wait most of the time")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--foreign", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    options.kith = os.path.abspath(options.kith)
    options.asan = os.path.abspath(options.asan) if options.asan and os.path.exists(options.asan) else ""
    options.logs = os.path.abspath(options.logs or os.path.join(os.path.dirname(options.kith), "../../interop-logs"))
    if options.list:
        print("\n".join(c[0] for c in gather(options)))
        return 0
    if not options.foreign and not os.access(options.kith, os.X_OK):
        print("%s: not there; build first" % options.kith)
        return 1
    inside = lablib.enter_namespace(sys.argv)
    chosen = gather(options)
    if options.json:
        open(options.json, "w", encoding="utf-8").close()
    if not inside:
        print("no permission for a network namespace: all tests with other programs are skipped")
        report = [(c[0], "SKIP", "no namespace", 0.0, "") for c in chosen]
    else:
        report = run_all(chosen, options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            for name, result, text, seconds, _ in report:
                f.write(json.dumps({"name": "interop / " + name, "result": result, "duration": seconds, "text": text}) + "\n")
    count = {r: sum(1 for x in report if x[1] == r) for r in ("OK", "SKIP", "FAIL", "ERROR")}
    print("interop: %d ok, %d failed, %d skipped" % (count["OK"], count["FAIL"] + count["ERROR"], count["SKIP"]))
    return 1 if count["FAIL"] + count["ERROR"] or not count["OK"] else 0


def run_all(chosen, options):
    root = tempfile.mkdtemp(prefix="kith-interop-")
    os.chmod(root, 0o755)
    os.makedirs(os.path.join(root, "runs"))
    print_lock = threading.Lock()
    report = []

    def work(numbered):
        slot, case = numbered
        row = run_one(case, slot, root, options)
        name, result, text, seconds, folder = row
        with print_lock:
            report.append(row)
            print("%-5s %-44s %5.1f s%s" % (result.lower(), name, seconds, "  " + text if text else ""), flush=True)
            if result in ("FAIL", "ERROR"):
                print(tail_of_logs(folder))
                print("    logs: %s" % keep_logs(folder, options.logs), flush=True)
                if not options.keep:
                    shutil.rmtree(folder, ignore_errors=True)

    try:
        with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
            list(pool.map(work, enumerate(chosen)))
    finally:
        if options.keep:
            print("kept:", root)
        else:
            shutil.rmtree(root, ignore_errors=True)
    return report


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
