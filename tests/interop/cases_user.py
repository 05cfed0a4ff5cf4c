"""What a user does to a running transfer, and what lies in its way: files removed, changed, too long, unwritable, a disk too small."""
import json
import os
import shutil
import subprocess
import time

import clients
import payload
from cases_crash import tmpfs
from lab import Skipped, as_nobody, need, quiet

SEED_PORT, PORT = 20001, 20002


def seed_for(lab, shape, version="v1", ip=None, target=None):
    torrent = payload.torrent_of(lab.root, shape, version, 65536)
    seeder = clients.Kith(lab, "seed", torrent, target or payload.path_of(lab.root, shape), ip or lab.ip(2), SEED_PORT)
    seeder.start()
    lab.until("kith share is ready", lambda: "seeding on port" in seeder.proc.errors())
    return torrent, seeder


def get(lab, torrent, out, *extra, name="get", ip=None, seed=None):
    return lab.start("kith-" + name, [lab.options.kith, "get", torrent, "-o", out, "--listen", ip or lab.ip(3), "--port", PORT, *quiet(),
                                      "--no-port-map", "--state", lab.path("state"), "--peer", "%s:%d" % (seed or lab.ip(2), SEED_PORT), *extra])


def ended(proc, code, seconds=60):
    got = proc.wait(seconds)
    need(got == code, "kith ended with %s instead of %d: %s" % (got, code, proc.errors()[-400:]))


def same(lab, shape, out):
    target = payload.path_of(lab.root, shape)
    wrong = payload.differences(target, os.path.join(out, os.path.basename(target)))
    need(not wrong, "; ".join(wrong[:5]))


def begun(lab, proc, path, least=1 << 20):
    def there():
        return sum(os.path.getsize(os.path.join(d, n)) for d, _, names in os.walk(path) for n in names) > least
    lab.until("something is written", lambda: there() or not proc.alive(), 30)
    need(proc.alive(), "too soon over: " + proc.errors()[-300:])


def removed(shape, one_only):
    """Files are removed while they are fetched: kith notices before it says that all is there, and fetches them again."""
    def run(lab):
        torrent, seeder = seed_for(lab, shape)
        out = lab.path("out")
        proc = get(lab, torrent, out, "--down", "6M")
        begun(lab, proc, out)
        path = os.path.join(out, os.path.basename(payload.path_of(lab.root, shape)))
        if one_only:
            files = [os.path.join(d, n) for d, _, names in os.walk(out) for n in names]
            os.unlink(max(files, key=os.path.getsize))
        elif os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
        ended(proc, 0, 90)
        same(lab, shape, out)
        need("removed meanwhile" in proc.errors(), "nothing is said: " + proc.errors())
        seeder.finish()
    return run


def root_removed(lab):
    """The whole directory goes: it ends with a clear message, and never says that the disk works again."""
    torrent, seeder = seed_for(lab, "multi")
    out = lab.path("out")
    proc = get(lab, torrent, out, "--down", "6M", "--timeout", "5s")
    begun(lab, proc, out)
    shutil.rmtree(out)
    ended(proc, 8, 90)
    text = proc.errors()
    need("gone" in text and "works again" not in text, text)
    seeder.finish()


def root_comes_back(lab):
    """It goes, and comes back empty: all is fetched again."""
    torrent, seeder = seed_for(lab, "multi")
    out = lab.path("out")
    proc = get(lab, torrent, out, "--down", "6M")
    begun(lab, proc, out)
    shutil.rmtree(out)
    lab.until("it says so", lambda: "is gone" in proc.errors() or not proc.alive(), 60)
    need("works again" not in proc.errors(), proc.errors())
    os.makedirs(out)
    ended(proc, 0, 90)
    same(lab, "multi", out)
    seeder.finish()


def longer(shape, version, content):
    """What lies there is longer than the torrent says: it has the right length in the end, and a foreign file is told of."""
    def run(lab):
        target = payload.path_of(lab.root, shape)
        torrent, seeder = seed_for(lab, shape, version)
        out = lab.path("out")
        copy = os.path.join(out, os.path.basename(target))
        os.makedirs(out)
        shutil.copytree(target, copy) if os.path.isdir(target) else shutil.copy(target, copy)
        files = [os.path.join(d, n) for d, _, names in os.walk(out) for n in names]
        for path in files:
            if os.path.getsize(path) == 0 or os.path.islink(path):
                continue
            with open(path, "r+b") as f:
                if content == "foreign":
                    f.write(b"x" * os.path.getsize(path))
                f.seek(0, 2)
                f.write(b"longer" * 1000)
        proc = get(lab, torrent, out)
        ended(proc, 0)
        same(lab, shape, out)
        need(("overwritten" in proc.errors()) == (content == "foreign"), proc.errors())
        check = lab.run("verify", [lab.options.kith, "verify", torrent, out])
        need(check.code == 0, check.output())
        again = get(lab, torrent, out, name="again")        # what was kept fits what is there
        ended(again, 0)
        need("there already" in again.errors(), again.errors())
        seeder.finish()
    return run


def blocked(how, code, word):
    """One file cannot be written: one clear line, the others are fetched, and the end is not 0."""
    def run(lab):
        target = payload.path_of(lab.root, "multi")
        torrent, seeder = seed_for(lab, "multi")
        out = lab.path("out")
        files = sorted((os.path.join(d, n) for d, _, names in os.walk(target) for n in names), key=os.path.getsize)
        name = os.path.relpath(files[-1], os.path.dirname(target))
        path = os.path.join(out, name)
        os.makedirs(os.path.dirname(path))
        if how == "link":
            os.symlink("/tmp/kith-elsewhere", path)
        elif how == "dir":
            os.makedirs(path)
        proc = get(lab, torrent, out, "--down", "20M")
        ended(proc, code)
        lines = [line for line in proc.errors().splitlines() if word in line]
        need(1 <= len(lines) <= 2 and "works again" not in proc.errors(), proc.errors()[-2000:])
        need(not os.path.exists("/tmp/kith-elsewhere"), "a link was followed")
        others = [f for f in payload.differences(target, os.path.join(out, "multi")) if "missing" in f or "differ" in f or "size" in f]
        need(len(others) <= 3, "others lack: %r" % others)
        os.unlink(path) if how == "link" else os.rmdir(path)
        proc = get(lab, torrent, out, name="mended")
        ended(proc, 0)
        same(lab, "multi", out)
        seeder.finish()
    return run


def preallocate_full(lab):
    """No room for --preallocate: it says how much is needed and free, and gives up after the --timeout."""
    torrent, seeder = seed_for(lab, "single")
    folder = tmpfs(lab, "12m")
    began = time.monotonic()
    proc = get(lab, torrent, folder, "--preallocate", "--timeout", "3s")
    ended(proc, 8, 20)
    need(time.monotonic() - began < 10, "it took too long")
    need("not enough room" in proc.errors() and "are free" in proc.errors(), proc.errors())
    seeder.finish()


def preallocate_room(lab):
    """The same, and there is room later: it goes on by itself."""
    torrent, seeder = seed_for(lab, "single")
    folder = tmpfs(lab, "12m")
    proc = get(lab, torrent, folder, "--preallocate")
    lab.until("it says so", lambda: "no space" in proc.errors() or not proc.alive(), 20)
    subprocess.run(["mount", "-o", "remount,size=100m", folder], check=True)
    ended(proc, 0, 60)
    same(lab, "single", folder)
    seeder.finish()


def seed_changes(lab):
    """The file of a seed is overwritten: the peer that gets bad data names it once and at the end; the seed notices, too."""
    copy = lab.path("seed/single.bin")
    os.makedirs(lab.path("seed"))
    shutil.copy(payload.path_of(lab.root, "single"), copy)
    torrent, seeder = seed_for(lab, "single", target=copy, ip="127.0.0.1")
    proc = get(lab, torrent, lab.path("out"), "--down", "4M", "--timeout", "4s", ip="127.0.0.1", seed="127.0.0.1")
    begun(lab, proc, lab.path("out"), 3 << 20)
    with open(copy, "r+b") as f:
        f.write(b"x" * os.path.getsize(copy))
    ended(proc, 12, 60)
    text = proc.errors()
    need(text.count("banned 127.0.0.1") == 1, "%d lines of the ban" % text.count("banned"))
    need("1 sent bad data" in text, text[-300:])
    seeder.finish()


def seed_cut(lab):
    """The file of a seed is cut short: it says so."""
    copy = lab.path("seed/single.bin")
    os.makedirs(lab.path("seed"))
    shutil.copy(payload.path_of(lab.root, "single"), copy)
    torrent, seeder = seed_for(lab, "single", target=copy)
    proc = get(lab, torrent, lab.path("out"), "--down", "4M")
    begun(lab, proc, lab.path("out"), 3 << 20)
    os.truncate(copy, 1 << 20)
    lab.until("the seed notices", lambda: "was changed" in seeder.proc.errors(), 30)
    proc.stop()
    seeder.finish()


def names(lab):
    """Names that other programs would change are refused before hashing, all of them at once."""
    folder = lab.path("content")
    os.makedirs(folder)
    for name in ("a" * 255, "b" * 241, "c\\d", "good", "e" * 240):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(b"x")
    proc = lab.run("create", [lab.options.kith, "create", folder, "-o", lab.path("x.torrent")])
    text = proc.errors()
    need(proc.code == 2, "exit code %d" % proc.code)
    need(text.count("at most 240") == 2 and "c\\d: other programs would call it" in text and "3 names" in text, text)
    need("a" * 100 not in text and "good" not in text, text)


def too_many_pieces(lab):
    """9 GiB in pieces of 16 KiB make a torrent file that nobody reads: that is said before hashing."""
    big = lab.path("big")
    with open(big, "wb") as f:
        f.truncate(9 << 30)
    began = time.monotonic()
    proc = lab.run("create", [lab.options.kith, "create", big, "-l", "16K", "-o", lab.path("x.torrent")], 20)
    need(proc.code == 2 and "too many" in proc.errors(), "%d %s" % (proc.code, proc.errors()[-300:]))
    need(time.monotonic() - began < 2, "it was hashed first")


def figures(lab):
    """A selection has its own size; after a resume the time is that of what came now; nothing is said of a port that is taken."""
    torrent, seeder = seed_for(lab, "multi")
    proc = get(lab, torrent, lab.path("some"), "--select", "multi/a/b/second.bin,*second.bin", name="some")
    ended(proc, 0)
    need("5.0 MiB of 29.9 MiB" in proc.errors() and "5.0 MiB in" in proc.errors(), proc.errors())
    out = lab.path("out")
    proc = get(lab, torrent, out, "--down", "6M", name="first")
    begun(lab, proc, out, 20 << 20)
    proc.stop()
    proc = get(lab, torrent, out, name="second")
    ended(proc, 0)
    need("29.9 MiB, of which" in proc.errors(), proc.errors())
    proc = lab.run("share", [lab.options.kith, "share", payload.path_of(lab.root, "multi"), "--torrent", torrent, "--listen", lab.ip(2),
                             "--port", SEED_PORT, *quiet(), "--no-port-map", "--state", lab.path("other")])
    need(proc.code == 5 and "magnet" not in proc.output(), "%d %s" % (proc.code, proc.output()))
    seeder.finish()


def first_and_last(lab):
    """--first and --last: files are complete in that order, those that are not selected are not fetched."""
    folder, torrent, out = lab.path("six"), lab.path("six.torrent"), lab.path("out")
    os.makedirs(folder)
    for name in "abcdef":
        with open(os.path.join(folder, name), "wb") as f:
            f.write(os.urandom(2 << 20))
    made = lab.run("create", [lab.options.kith, "create", folder, "-l", "64K", "-o", torrent], 20)
    need(made.code == 0, made.errors()[-300:])
    seeder = clients.Kith(lab, "seed", torrent, folder, lab.ip(2), SEED_PORT)
    seeder.start()
    lab.until("kith share is ready", lambda: "seeding on port" in seeder.proc.errors())
    proc = get(lab, torrent, out, "--select", "1-5", "--first", "4,6", "--last", "*/a,2,4", "--down", "8M", "--json")
    ended(proc, 0)
    order = [json.loads(line)["path"][-1] for line in proc.output().splitlines() if '"type":"file_done"' in line]
    need(order[0] == "d" and set(order[1:3]) == set("ce") and set(order[3:]) == set("ab"), "files came as %r" % order)
    bad = lab.run("bad", [lab.options.kith, "get", torrent, "-o", out, *quiet(), "--first", "9"])
    need(bad.code == 2 and "--first: 9 is not within 1-6" in bad.errors(), bad.errors())
    seeder.finish()


def looks_off_the_loop(lab):
    """Whether there is room for many files is found out on a worker: the thread that talks to the network looks at none."""
    if not shutil.which("strace"):
        raise Skipped("no strace")
    folder, torrent, out, trace = lab.path("many"), lab.path("many.torrent"), lab.path("out"), lab.path("trace")
    os.makedirs(folder)
    for i in range(300):
        with open(os.path.join(folder, "file-%d" % i), "wb") as f:
            f.write(os.urandom(1000))
    made = lab.run("create", [lab.options.kith, "create", folder, "-l", "64K", "-o", torrent], 20)
    need(made.code == 0, made.errors()[-300:])
    proc = lab.start("get", ["strace", "-f", "-o", trace, "-e", "trace=newfstatat,lstat,stat,statx", lab.options.kith, "get", torrent, "-o", out, *quiet(),
                             "--listen", lab.ip(3), "--no-port-map", "--state", lab.path("state"), "--timeout", "2s"])
    ended(proc, 12)
    with open(trace, encoding="ascii", errors="replace") as f:
        lines = f.read().splitlines()
    main, looks = lines[0].split()[0], [line.split()[0] for line in lines if "/many/file-" in line]
    need(len(looks) >= 300, "only %d files were looked at" % len(looks))
    need(main not in looks, "%d files were looked at by the loop" % looks.count(main))


def closed_pipe(lab):
    """`kith show | head -0`: nobody complains."""
    torrent = payload.torrent_of(lab.root, "multi", "v1", 65536)
    done = subprocess.run("'%s' show '%s' | true; echo ${PIPESTATUS[0]}" % (lab.options.kith, torrent), shell=True, executable="/bin/bash",
                          capture_output=True, check=False)
    need(done.stderr == b"" and done.stdout.strip() in (b"141", b"0"), "%r" % done)


def unreadable(lab):
    """What may not be read is not damaged."""
    target = payload.path_of(lab.root, "single")
    torrent = payload.torrent_of(lab.root, "single", "v1", 65536)
    out = lab.path("out")
    os.makedirs(out, 0o755)
    shutil.copy(target, out)
    os.chmod(os.path.join(out, "single.bin"), 0)
    prefix = as_nobody()
    if prefix[0] != "setpriv":
        raise Skipped("no other user")
    proc = lab.run("verify", [*prefix, lab.options.kith, "verify", torrent, out])
    if "Permission denied" in proc.errors() and "exec" in proc.errors():
        raise Skipped("the other user cannot run kith here")
    need(proc.code == 4 and "cannot be read" in proc.errors() and "damaged" not in proc.output(), "%d %s" % (proc.code, proc.errors()))


def alone(lab):
    """Nobody comes: the hint says what is known of the reason."""
    torrent = payload.torrent_of(lab.root, "single", "v1", 65536)
    for n, (words, hint) in enumerate(((["--peer", lab.ip(9) + ":9"], "none of them could be reached"), ([], "there is no tracker"),
                                       (["--tracker", "http://%s:9/announce" % lab.ip(9)], "no tracker gave an answer"))):
        proc = lab.start("get-%d" % n, [lab.options.kith, "get", torrent, "-o", lab.path("out"), "--listen", lab.ip(3), "--port", PORT + n,
                                        *quiet(), "--no-port-map", "--state", lab.path("state"), "--timeout", "2s", *words])
        ended(proc, 12, 20)
        need(hint in proc.errors(), proc.errors())


def cases():
    return [
        ("user/removed-single", removed("single", False), 120), ("user/removed-multi", removed("multi", False), 120),
        ("user/removed-one", removed("multi", True), 120), ("user/root-removed", root_removed, 120),
        ("user/root-comes-back", root_comes_back, 150),
        *(("user/longer-%s-%s-%s" % (shape, version, content), longer(shape, version, content), 60)
          for shape, version, content in (("single", "v1", "same"), ("single", "v2", "foreign"), ("multi", "v1", "same"),
                                          ("multi", "hybrid", "foreign"), ("multi", "v2", "same"))),
        ("user/blocked-link", blocked("link", 4, "symbolic link"), 60), ("user/blocked-dir", blocked("dir", 8, "directory is in the way"), 60),
        ("user/names", names, 20), ("user/alone", alone, 40), ("user/figures", figures, 60), ("user/closed-pipe", closed_pipe, 20),
        ("user/first-and-last", first_and_last, 60), ("user/looks-off-the-loop", looks_off_the_loop, 40),
        ("user/unreadable", unreadable, 20), ("user/too-many-pieces", too_many_pieces, 30),
        ("user/preallocate-full", preallocate_full, 40), ("user/preallocate-room", preallocate_room, 90),
        ("user/seed-changes", seed_changes, 90), ("user/seed-cut", seed_cut, 60),
    ]
