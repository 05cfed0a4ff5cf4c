#!/usr/bin/python3
"""test_checks.py includes|symbols|poison|source ROOT [CC...]: shows that a check fails on what it is there to find.
Every violation is planted in a temporary folder. Without this a check that went blind would look like clean code."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import check_includes
import check_poison
import check_source
import check_symbols

HERE = os.path.dirname(os.path.abspath(__file__))


def write(folder, path, text):
    full = os.path.join(folder, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as f:
        f.write(text)
    return full


def expect(what, problems, words):
    """`words` None: clean. Else exactly one complaint, and it says so."""
    good = not problems if words is None else len(problems) == 1 and words in problems[0]
    print("%s: %s -> %s" % ("ok" if good else "WRONG", what, problems or "clean"))
    return good


def test_includes(_root, _cc):
    headers = ("base/a.h", "crypto/a.h", "codec/a.h", "engine/io.h", "engine/swarm/a.h", "engine/find/a.h",
               "engine/node/a.h", "plat/a.h", "sim/a.h", "lab/a.h", "app/a.h")
    cases = [
        ("base/x.c", '"base/a.h"', None), ("base/x.c", '"crypto/a.h"', "base must not include crypto"),
        ("base/x.c", "<string.h>", None), ("base/x.c", "<unistd.h>", "<unistd.h>"), ("crypto/x.c", "<openssl/sha.h>", None),
        ("codec/x.c", "<openssl/sha.h>", "<openssl/sha.h>"), ("plat/x.c", "<openssl/sha.h>", "only crypto"),
        ("codec/x.c", '"engine/io.h"', "codec must not include engine"), ("engine/swarm/x.c", '"engine/io.h"', None),
        ("engine/swarm/x.c", '"engine/find/a.h"', "room swarm must not include room find"),
        ("engine/find/x.c", '"engine/node/a.h"', "room find must not include room node"),
        ("engine/node/x.c", '"engine/swarm/a.h"', None), ("engine/io.c", '"engine/swarm/a.h"', "room engine must not"),
        ("engine/swarm/x.c", '"plat/a.h"', "engine must not include plat"), ("engine/swarm/x.c", "<sys/socket.h>", "<sys/socket.h>"),
        ("plat/x.c", '"codec/a.h"', "plat must not include codec"), ("plat/x.c", "<uv.h>", None),
        ("sim/x.c", '"plat/a.h"', "sim must not include plat"), ("sim/x.c", '"engine/node/a.h"', None),
        ("sim/x.c", "<pthread.h>", "<pthread.h>"), ("app/x.c", '"sim/a.h"', "app must not include sim"),
        ("app/x.c", '"lab/a.h"', "app must not include lab"), ("lab/x.c", '"sim/a.h"', None),
        ("lab/x.c", '"plat/a.h"', "lab must not include plat"), ("lab/x.c", '"app/a.h"', "lab must not include app"),
        ("sim/x.c", '"lab/a.h"', "sim must not include lab"), ("lab/x.c", "<unistd.h>", None),
        ("app/x.c", '"engine/node/a.h"', None), ("engine/swarm/x.c", '"a.h"', "not written from src/"),
        ("engine/swarm/x.c", '"../find/a.h"', "not written from src/"), ("engine/garage/x.c", '"base/a.h"', "no room of that name"),
        ("misc/x.c", '"base/a.h"', "not in a layer"),
    ]
    good = True
    for path, include, words in cases:
        with tempfile.TemporaryDirectory() as folder:
            for header in headers:
                write(folder, "src/" + header, "#pragma once\n")
            write(folder, "src/" + path, "# include %s\n" % include)
            good &= expect("src/%s includes %s" % (path, include), check_includes.check(folder), words)
    return good


def test_symbols(_root, cc):
    cases = [
        ("base", "#include <string.h>\nvoid f(char *p, int n) { memset(p, n, (unsigned long)n); }", None),
        ("codec", "void *malloc(unsigned long);\nvoid *f(void) { return malloc(3); }", "uses malloc"),
        ("engine", "#include <time.h>\nlong f(void) { return (long)time(0); }", "uses time"),
        ("engine", "#include <stdlib.h>\nchar *f(void) { return getenv(\"X\"); }", "uses getenv"),
        ("engine", "#include <sys/socket.h>\nint f(void) { return socket(1, 1, 0); }", "uses socket"),
        ("sim", "#include <fcntl.h>\nint f(void) { return open(\"x\", 0); }", "uses open"),
        ("sim", "#include <pthread.h>\nint f(void) { return pthread_detach((pthread_t)0); }", "uses pthread_detach"),
        ("codec", "#include <stdlib.h>\nint f(void) { return rand(); }", "uses rand"),
        ("engine", "#include <stdio.h>\nvoid f(void) { printf(\"%d\", 1); }", "uses printf"),
        ("codec", "int SHA1_Init(void *);\nint f(void) { return SHA1_Init(0); }", "uses SHA1_Init"),
        ("kithcrypto", "int SHA1_Init(void *);\nint f(void) { return SHA1_Init(0); }", None),
    ]
    good = True
    for library, code, words in cases:
        with tempfile.TemporaryDirectory() as folder:
            source = write(folder, "x.c", "void f2(void);\nvoid f2(void) {}\n" + code + "\n")
            archive = os.path.join(folder, "lib%s.a" % library)
            subprocess.run(cc + ["-c", source, "-o", folder + "/x.o"], check=True)
            subprocess.run(["ar", "rcs", archive, folder + "/x.o"], check=True)
            found = check_symbols.check(os.path.join(HERE, "symbols.allow"), [archive])
            good &= expect("lib%s: %s" % (library, code.splitlines()[-1]), found, words)
    return good


def test_poison(root, cc):
    good = True
    poison = os.path.join(root, "src/base/poison.h")
    for call in (None, "malloc(1)", "time(0)", "getenv(p)", "printf(p)", "rand()", "fopen(p, p)", "clock()", "exit(1)"):
        with tempfile.TemporaryDirectory() as folder:
            source = write(folder, "x.c", "int f(const char *p);\nint f(const char *p) { (void)p; %s return 0; }\n"
                           % ("(void)%s;" % call if call else ""))
            command = cc + ["-c", source, "-o", folder + "/x.o", "-include", poison]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            problems = [line for line in done.stdout.decode().splitlines() if "poison" in line and "error" in line]
            if done.returncode != 0 and not problems:
                problems = ["failed for another reason"]
            good &= expect("poisoned call %s" % call, problems[:1], "poison" if call else None)
    line = {"directory": "/x/build", "file": "../src/engine/swarm/a.c", "command": "cc -c a.c"}
    good &= expect("a pure file without poison.h", check_poison.check([line]), "without src/base/poison.h")
    line = dict(line, command="cc -include /x/src/base/poison.h -c a.c")
    good &= expect("a pure file with it", check_poison.check([line]), None)
    good &= expect("nothing pure compiled", check_poison.check([]), "no file")
    return good


def test_source(_root, _cc):
    long_function = "int f(int a,\n      int b)\n{\n%s}\n" % ("    a++;\n" * 69)
    cases = [
        ("src/base/x.c", "int f(void)\n{\n    return 1;\n}\n", None), ("src/base/x.c", "int a;\n" * 1001, "1001 lines"),
        ("src/base/x.h", "int a;\n" * 151, "a header"), ("src/base/x.h", "int a;\n" * 150, None),
        ("src/base/x.c", long_function, "f has 71 lines"), ("src/base/x.c", long_function.replace("    a++;\n", "", 1), None),
        ("src/base/x.c", "// TO" "DO later\n", "leftover"), ("src/base/x.c", "\tint a;\n", "a tab"),
        ("src/base/x.c", "int a; \n", "blanks"), ("src/base/x.c", "// %s\n" % ("x" * 150), "columns"),
        ("docs/x.md", "see /wo" "rk/notes\n", "a place"), ("docs/x.md", "see iss" "ue 7\n", "a place"),
        ("docs/x.md", "the User-Agent, session.path.set, /build/wo" "rk/x\n", None),
        ("tests/tools/long_functions.txt", "src/base/x.c:g\n", "not there any more"),
    ]
    good = True
    for path, text, words in cases:
        with tempfile.TemporaryDirectory() as folder:
            write(folder, path, text)
            good &= expect("%s %r" % (path, text[:30]), check_source.check(folder), words)
    return good


if __name__ == "__main__":
    tests = {"includes": test_includes, "symbols": test_symbols, "poison": test_poison, "source": test_source}
    if shutil.which("nm") is None:
        print("needs nm")
        sys.exit(77)
    sys.exit(0 if tests[sys.argv[1]](sys.argv[2], sys.argv[3:]) else 1)
