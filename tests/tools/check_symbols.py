#!/usr/bin/python3
"""check_symbols.py ALLOW ARCHIVE...: the pure archives call nothing but each other and what ALLOW lists."""
import fnmatch
import os
import subprocess
import sys


def symbols(archive, which):
    """Names from nm, with the object they are in; `which` is --undefined-only or --defined-only."""
    out = subprocess.run(["nm", "-A", which, archive], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    for line in out.decode().splitlines():
        place, _, name = line.rpartition(" ")
        yield name.split("@")[0], place.split(":")[1] if ":" in place else place


def read_allowed(path):
    allowed = []
    for line in open(path, encoding="utf-8"):
        library, _, names = line.split("#")[0].partition(":")
        allowed += [(library.strip(), name) for name in names.split()]
    return allowed


def check(allow, archives):
    allowed = read_allowed(allow)
    own = {name for archive in archives for name, _ in symbols(archive, "--defined-only")}
    problems = []
    for archive in archives:
        library = os.path.basename(archive)[:-2]
        for name, where in symbols(archive, "--undefined-only"):
            if name in own or any(lib in ("*", library) and fnmatch.fnmatchcase(name, pattern) for lib, pattern in allowed):
                continue
            problems.append("%s (%s): uses %s" % (library, where, name))
    return problems


if __name__ == "__main__":
    found = check(sys.argv[1], sys.argv[2:])
    print("\n".join(found))
    sys.exit(1 if found else 0)
