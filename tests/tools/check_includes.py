#!/usr/bin/python3
"""check_includes.py ROOT: who may include whom. The table is the one of docs/ARCHITECTURE.md."""
import os
import re
import sys

LAYERS = {
    "base": {"base"},
    "crypto": {"base", "crypto"},
    "codec": {"base", "crypto", "codec"},
    "engine": {"base", "crypto", "codec", "engine"},
    "plat": {"base", "plat"},
    "sim": {"base", "crypto", "codec", "engine", "sim"},
    "lab": {"base", "crypto", "codec", "engine", "sim", "lab"},
    "app": {"base", "crypto", "codec", "engine", "plat", "app"},
}
ROOMS = {"swarm", "find", "reach", "call", "stream", "edge", "node"}      # of engine; only node knows the others

# What the C library offers without an operating system. Pure layers see nothing else.
C_HEADERS = {"assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h",
             "stdint.h", "stdio.h", "stdlib.h", "stdnoreturn.h", "string.h", "time.h"}
INSTRUCTIONS = ("cpuid.h", "immintrin.h")       # no library: what the processor offers
PURE = {"base": (), "crypto": ("openssl/", "sodium.h", "srtp2/") + INSTRUCTIONS, "codec": (), "engine": (), "sim": ()}
ONLY_IN_CRYPTO = PURE["crypto"]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path):
    """The room of engine that src/engine/ROOM/file is in, or '' for what the rooms share."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else ""


def check_quoted(src, path, target):
    layer, aim = path.split("/")[0], target.split("/")[0]
    if not os.path.isfile(os.path.join(src, target)):
        return 'includes "%s", which is not written from src/' % target
    if aim not in LAYERS[layer]:
        return "%s must not include %s (%s)" % (layer, aim, target)
    if aim == "engine" and layer == "engine":
        mine, other = room_of(path), room_of(target)
        if mine != "node" and other not in ("", mine):
            return "room %s must not include room %s (%s)" % (mine or "engine", other, target)
    return None


def check_system(path, target):
    layer = path.split("/")[0]
    if layer in PURE and target not in C_HEADERS and not target.startswith(PURE[layer] or ("\0",)):
        return "%s is pure and must not include <%s>" % (layer, target)
    if layer != "crypto" and target.startswith(ONLY_IN_CRYPTO):
        return "only crypto includes <%s>" % target
    return None


def check(root):
    src = os.path.join(root, "src")
    problems = []
    for folder, _, names in sorted(os.walk(src)):
        for name in sorted(names):
            if not name.endswith((".c", ".h")):
                continue
            path = os.path.relpath(os.path.join(folder, name), src)
            parts = path.split("/")
            if parts[0] not in LAYERS or len(parts) < 2:
                problems.append("src/%s: not in a layer" % path)
                continue
            if parts[0] == "engine" and room_of(path) not in ROOMS | {""}:
                problems.append("src/%s: engine has no room of that name" % path)
            for number, line in enumerate(open(os.path.join(src, path), encoding="utf-8"), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                what = check_quoted(src, path, found[2]) if found[1] == '"' else check_system(path, found[2])
                if what:
                    problems.append("src/%s:%d: %s" % (path, number, what))
    return problems


if __name__ == "__main__":
    found = check(sys.argv[1])
    print("\n".join(found))
    sys.exit(1 if found else 0)
