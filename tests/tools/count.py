#!/usr/bin/python3
"""count.py [--broken WHAT]... LOG...: adds up Meson test logs (one JSON object a line) and prints the total as the last line.
Fails if any failed, or if none ran."""
import json
import sys

FAILED = {"FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS"}


def main(args):
    passed = skipped = 0
    bad = []
    while args and args[0] == "--broken":
        bad.append("%s: it was not built" % args[1])
        args = args[2:]
    for path in args:
        try:
            lines = open(path, encoding="utf-8").read().splitlines()
        except OSError:
            bad.append("%s was not written" % path)
            continue
        for line in lines:
            test = json.loads(line)
            if test["result"] in ("OK", "EXPECTEDFAIL"):
                passed += 1
            elif test["result"] == "SKIP":
                skipped += 1
            else:
                bad.append("%s: %s %s" % (path.split("/")[0], test["name"], test["result"].lower()))
    print()
    for what in bad:
        print("failed:", what)
    print("%d passed, %d failed%s" % (passed, len(bad), ", %d skipped" % skipped if skipped else ""))
    return 1 if bad or passed == 0 else 0


sys.exit(main(sys.argv[1:]))
