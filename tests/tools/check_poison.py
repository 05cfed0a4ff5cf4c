#!/usr/bin/python3
"""check_poison.py BUILD_DIR: every file of the pure layers is compiled with src/base/poison.h in front."""
import json
import os
import sys

PURE = ("base", "codec", "engine", "sim")       # crypto wraps libraries that allocate; the symbol check holds it


def check(commands):
    problems = []
    seen = 0
    for entry in commands:
        path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        parts = path.split("/src/", 1)
        if len(parts) != 2 or parts[1].split("/")[0] not in PURE or "/tests/" in path:
            continue
        seen += 1
        words = entry["command"].split()
        if not any(a == "-include" and b.endswith("src/base/poison.h") for a, b in zip(words, words[1:])):
            problems.append("src/%s: compiled without src/base/poison.h" % parts[1])
    if seen == 0:
        problems.append("no file of the pure layers is compiled at all")
    return problems


if __name__ == "__main__":
    found = check(json.load(open(os.path.join(sys.argv[1], "compile_commands.json"), encoding="utf-8")))
    print("\n".join(found))
    sys.exit(1 if found else 0)
