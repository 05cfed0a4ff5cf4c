#!/usr/bin/python3
"""check_source.py ROOT: sizes of files and functions, leftovers, blanks, words that do not belong here."""
import os
import re
import sys

FILE_LINES_MAX = 1000
HEADER_LINES_MAX = 150
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 150
PARTS = ("src", "tests", "docs", "web/src")
SKIP = ("tests/vectors/",)
TEXT = (".c", ".h", ".py", ".sh", ".md", ".build", ".txt", ".js", ".css", ".html")

LEFTOVER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
# Where and how somebody worked is no part of the source.
PLACES = re.compile(r"(?<![\w.-])/(?:work|farm)/|\.libr" r"ary/|\bissue\s+#?\d+\b|#\d+\b(?=\s*(?:of the tracker|issue))", re.I)
NAME = re.compile(r"(\w+)\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*$")


def functions(lines):
    """(name, first line, length) of every function: a brace alone in column 0 opens it, another closes it."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            head = ""
            for back in range(start - 2, max(start - 10, -1), -1):
                head = lines[back] + " " + head
                if lines[back][:1] not in (" ", "\t", ""):
                    break
            found = NAME.search(head.strip())
            yield (found[1] if found else "?"), start, number - start + 1
            start = None


def check_c(path, lines, exempt, problems):
    if path.endswith(".h") and len(lines) > HEADER_LINES_MAX:
        problems.append("%s: %d lines; a header has at most %d" % (path, len(lines), HEADER_LINES_MAX))
    if path.startswith("src/"):
        for name, number, length in functions(lines):
            key = "%s:%s" % (path, name)
            if key in exempt:
                exempt[key] = True
            elif length > FUNCTION_LINES_MAX:
                problems.append("%s:%d: %s has %d lines; at most %d" % (path, number, name, length, FUNCTION_LINES_MAX))
    for number, line in enumerate(lines, 1):
        if "\t" in line:
            problems.append("%s:%d: a tab" % (path, number))
        if path.startswith("src/") and len(line) > COLUMNS_MAX:
            problems.append("%s:%d: %d columns; at most %d" % (path, number, len(line), COLUMNS_MAX))


def check_file(root, path, exempt, problems):
    try:
        text = open(os.path.join(root, path), encoding="utf-8", newline="").read()
    except UnicodeDecodeError:
        problems.append("%s: not UTF-8" % path)
        return
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    if path.endswith((".c", ".h", ".py")) and len(lines) > FILE_LINES_MAX:
        problems.append("%s: %d lines; at most %d" % (path, len(lines), FILE_LINES_MAX))
    if path.endswith((".c", ".h")):
        check_c(path, lines, exempt, problems)
    for number, line in enumerate(lines, 1):
        if LEFTOVER.search(line):
            problems.append("%s:%d: a leftover note" % (path, number))
        if PLACES.search(line):
            problems.append("%s:%d: names a place or a ticket" % (path, number))
        if line.endswith((" ", "\r")) and not path.endswith(".md"):
            problems.append("%s:%d: blanks at the end" % (path, number))


def files(root):
    for name in sorted(os.listdir(root)):
        if os.path.isfile(os.path.join(root, name)) and (name in ("run", "LICENSE") or name.endswith(TEXT)):
            yield name
    for part in PARTS:
        for folder, folders, names in sorted(os.walk(os.path.join(root, part))):
            folders[:] = [f for f in folders if f not in ("__pycache__", "node_modules")]
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root)
                if name.endswith(TEXT) and not path.startswith(SKIP):
                    yield path


def check(root):
    listed = os.path.join(root, "tests/tools/long_functions.txt")
    exempt = {}
    if os.path.exists(listed):
        rows = [line.split("#")[0].strip() for line in open(listed, encoding="utf-8")]
        exempt = {row: False for row in rows if row}
    problems = []
    for path in files(root):
        check_file(root, path, exempt, problems)
    problems += ["tests/tools/long_functions.txt: %s is not there any more" % row for row, seen in exempt.items() if not seen]
    return problems


if __name__ == "__main__":
    bad = check(sys.argv[1])
    print("\n".join(bad))
    sys.exit(1 if bad else 0)
