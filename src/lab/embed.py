#!/usr/bin/python3
"""embed.py NAME FILE OUT.c: the bytes of FILE as a C string called NAME, with a NUL behind it."""
import sys

name, source, target = sys.argv[1:]
data = open(source, "rb").read()
with open(target, "w", encoding="ascii") as out:
    out.write("extern const char %s[];\nconst char %s[] = {\n" % (name, name))
    for i in range(0, len(data), 20):
        out.write("    " + " ".join("%d," % (b - 256 if b > 127 else b) for b in data[i:i + 20]) + "\n")
    out.write("    0\n};\n")
