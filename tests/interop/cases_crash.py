"""Crashes and full disks: what was verified is not lost, what is not there is never claimed."""
import os
import random
import shutil
import signal
import subprocess
import time

import clients
import payload
import peer as wire
from lab import Skipped, need, quiet

SEED_PORT, PORT = 20001, 20002
SAFE_S = 5.0                            # a verified piece older than this survives any crash


def seed_for(lab, shape, rate):
    target = payload.path_of(lab.root, shape)
    torrent = payload.torrent_of(lab.root, shape, "v1", 65536)
    seeder = clients.Kith(lab, "seed", torrent, target, lab.ip(2), SEED_PORT)
    seeder.extra = ("--up", rate)
    seeder.start()
    lab.until("kith share is ready", seeder.done)
    return target, torrent, seeder


def get(lab, torrent, out, with_seed=True, extra=()):
    words = [*extra] + (["--peer", "%s:%d" % (lab.ip(2), SEED_PORT)] if with_seed else [])
    return lab.start("kith-get", [lab.options.kith, "get", torrent, "-o", out, "--listen", lab.ip(3), "--port", PORT, *quiet(),
                                  "--state", lab.path("state"), *words])


def connect(lab, content, seconds=15):
    """The mini peer at kith get; None if nothing answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            p = wire.Peer((lab.ip(3), PORT), content.hash, lab.ip(9))
            p.shake()
            return p
        except OSError:
            time.sleep(0.05)
    return None


def kill_and_resume(shape, kills, rate):
    """kill -9 at random times, again and again; between the runs a peer asks what kith claims to have, and it is looked
    up on the disk. With the last run the copy is complete."""
    def run(lab):
        rng = random.Random("%s %d" % (lab.name, lab.options.seed))
        target, torrent, seeder = seed_for(lab, shape, rate)
        content, out = wire.Content(torrent), lab.path("out")
        safe, most = set(), 0
        for n in range(kills):
            proc = get(lab, torrent, out)
            p = connect(lab, content)
            need(p is not None, "kith get does not listen: " + proc.errors()[-300:])
            # The first life is long enough that some pieces are old; the others are killed at once or a bit later.
            if n == 0:
                lab.until("pieces arrive", lambda q=p: not q.listen(0.2) or len(q.have) >= 20, 40)
            p.listen(SAFE_S + 1 if n == 0 else rng.uniform(0.0, 1.5))
            died = time.monotonic()
            proc.kill()
            p.close()
            safe |= {i for i, when in p.have.items() if when < died - SAFE_S}
            proc = get(lab, torrent, out, with_seed=False)
            p = connect(lab, content)
            need(p is not None, "kith get does not come back: " + proc.errors()[-300:])
            p.listen(1.5)
            claimed = set(p.have)
            p.close()
            proc.kill()
            wrong = [i for i in claimed if not content.on_disk(out, i)]
            need(not wrong, "after kill %d: %d pieces are claimed and not on the disk" % (n + 1, len(wrong)))
            lost = safe - claimed
            need(not lost, "after kill %d: %d of %d pieces that were older than 5 s are lost" % (n + 1, len(lost), len(safe)))
            most = max(most, len(claimed))
        need(len(safe) > 0, "the test is blind: no piece got old enough")
        proc = get(lab, torrent, out)
        code = proc.wait(90)
        need(code == 0, "kith get: %s %s" % (code, proc.errors()[-300:]))
        wrong = payload.differences(target, os.path.join(out, os.path.basename(target)))
        need(not wrong, "; ".join(wrong[:5]))
        lab.notes.append("%d kills, %d of %d pieces held before the last run" % (kills, most, content.pieces))
        seeder.finish()
    return run


def half_done(lab):
    """A transfer that was ended by SIGINT in the middle."""
    target, torrent, seeder = seed_for(lab, "single", "6M")
    out = lab.path("out")
    copy = os.path.join(out, os.path.basename(target))
    proc = get(lab, torrent, out)
    lab.until("a part has arrived", lambda: os.path.exists(copy) and os.stat(copy).st_blocks * 512 > 8 << 20, 40)
    code = proc.stop()
    need(code == 7, "SIGINT in the middle gives %s, not 7" % code)
    return target, torrent, seeder, copy


def complete(lab, target, torrent, seeder, copy, extra=()):
    proc = get(lab, torrent, lab.path("out"), extra=extra)
    code = proc.wait(60)
    need(code == 0, "kith get: %s %s" % (code, proc.errors()[-300:]))
    need(not payload.differences(target, copy), "the copy differs")
    seeder.finish()


def interrupted(lab):
    complete(lab, *half_done(lab))


def interrupted_twice(lab):
    """A second SIGINT ends kith at once, with 130 and not with a crash; what had arrived is gone on from."""
    target, torrent, seeder = seed_for(lab, "single", "6M")
    out = lab.path("out")
    for _ in range(4):
        proc = get(lab, torrent, out)
        time.sleep(1.2)
        proc.popen.send_signal(signal.SIGINT)
        time.sleep(0.002)
        code = proc.stop()
        need(code in (7, 130), "two SIGINT give %s: %s" % (code, proc.errors()[-300:]))
    complete(lab, target, torrent, seeder, os.path.join(out, os.path.basename(target)))


def file_gone(lab):
    """Between two runs the file is deleted. It may be that its volume is not there: kith may say so and wait, but claims
    nothing; with --check it looks at what is there and fetches the rest."""
    target, torrent, seeder, copy = half_done(lab)
    os.unlink(copy)
    content = wire.Content(torrent)
    proc = get(lab, torrent, lab.path("out"), with_seed=False)
    p = connect(lab, content, 3)
    if p is not None:
        p.listen(1)
        need(not p.have, "%d pieces of a deleted file are claimed" % len(p.have))
    proc.stop()
    complete(lab, target, torrent, seeder, copy, ("--check",))


def file_cut(lab):
    """Between two runs the file is cut short."""
    target, torrent, seeder, copy = half_done(lab)
    os.truncate(copy, 100000)
    complete(lab, target, torrent, seeder, copy)


def state_broken(lab):
    """Between two runs the state is damaged: nothing is believed that is not so."""
    target, torrent, seeder, copy = half_done(lab)
    for folder, _, names in os.walk(lab.path("state")):
        for name in names:
            path = os.path.join(folder, name)
            n = os.path.getsize(path)
            with open(path, "r+b") as f:
                f.seek(n // 3)
                f.write(random.Random(n).randbytes(max(1, n // 3)))
    complete(lab, target, torrent, seeder, copy)


def tmpfs(lab, size):
    folder = lab.path("small-disk")
    os.makedirs(folder)
    if not os.environ.get("KITH_LAB_MOUNTS"):
        raise Skipped("no mount namespace")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", folder], stderr=subprocess.DEVNULL, check=False).returncode:
        raise Skipped("mounting a tmpfs is not permitted")
    lab.cleanups.append(lambda: subprocess.run(["umount", "-l", folder], check=False))
    return folder


def disk_full(lab):
    """The disk is too small: one clear message, the transfer waits, and ends well once there is room."""
    target, torrent, seeder = seed_for(lab, "single", "100M")
    folder = tmpfs(lab, "12m")
    proc = get(lab, torrent, folder)
    lab.until("it says that the disk is full", lambda: "space" in proc.errors().lower() or not proc.alive(), 40)
    need(proc.alive(), "it gave up with %s: %s" % (proc.popen.returncode, proc.errors()[-300:]))
    said = len(proc.errors().splitlines())
    time.sleep(3)
    need(len(proc.errors().splitlines()) - said < 5, "it repeats itself: " + proc.errors()[-500:])
    subprocess.run(["mount", "-o", "remount,size=100m", folder], check=True)
    code = proc.wait(90)
    need(code == 0, "with room again: %s %s" % (code, proc.errors()[-300:]))
    need(not payload.differences(target, os.path.join(folder, os.path.basename(target))), "the copy differs")
    seeder.finish()


def disk_full_then_stop(lab):
    """Ended while it waits for room: exit code 7 or 8, and a later run completes what was begun."""
    target, torrent, seeder = seed_for(lab, "single", "100M")
    folder = tmpfs(lab, "12m")
    proc = get(lab, torrent, folder)
    lab.until("it says that the disk is full", lambda: "space" in proc.errors().lower() or not proc.alive(), 40)
    code = proc.stop()
    need(code in (7, 8), "exit code %s" % code)
    subprocess.run(["mount", "-o", "remount,size=100m", folder], check=True)
    proc = get(lab, torrent, folder)
    code = proc.wait(60)
    need(code == 0, "with room again: %s %s" % (code, proc.errors()[-300:]))
    need(not payload.differences(target, os.path.join(folder, os.path.basename(target))), "the copy differs")
    seeder.finish()


def unwritable(lab):
    """The target cannot be written: a clear line and an exit code that is not 0, or waiting; no crash."""
    _, torrent, seeder = seed_for(lab, "small", "100M")
    folder = tmpfs(lab, "12m")
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    proc = get(lab, torrent, folder)
    lab.until("it says that it cannot write", lambda: "read-only" in proc.errors().lower() or "permission" in proc.errors().lower()
              or not proc.alive(), 30)
    text = proc.errors().strip()
    need(text, "it says nothing")
    code = proc.stop() if proc.alive() else proc.popen.returncode
    need(code in (4, 7, 8), "exit code %s: %s" % (code, text[-300:]))
    seeder.finish()


def seed_loses_its_file(lab):
    """The content of a running seed is cut short: the leech gets nothing wrong, the seed lives on."""
    target = payload.path_of(lab.root, "single")
    torrent = payload.torrent_of(lab.root, "single", "v1", 65536)
    copy = lab.path("seed/single.bin")
    os.makedirs(lab.path("seed"))
    shutil.copy(target, copy)
    seeder = clients.Kith(lab, "seed", torrent, copy, lab.ip(2), SEED_PORT)
    seeder.extra = ("--up", "8M")
    seeder.start()
    lab.until("kith share is ready", seeder.done)
    proc = get(lab, torrent, lab.path("out"))
    time.sleep(1)
    os.truncate(copy, 1 << 20)
    time.sleep(4)
    need(seeder.proc.alive(), "the seed died: " + seeder.proc.errors()[-500:])
    need(proc.alive(), "kith get ended with %s" % proc.popen.returncode)
    proc.stop()
    content = wire.Content(torrent)
    again = get(lab, torrent, lab.path("out"), with_seed=False)
    p = connect(lab, content)
    need(p is not None, "kith get does not listen")
    p.listen(1.5)
    wrong = [i for i in p.have if not content.on_disk(lab.path("out"), i)]
    need(not wrong, "%d pieces are claimed and wrong" % len(wrong))
    again.kill()
    seeder.proc.kill()


def cases():
    return [
        ("crash/kill-and-resume-single", kill_and_resume("big", 5, "6M"), 200), ("crash/kill-and-resume-multi", kill_and_resume("multi", 4, "2M"), 200),
        ("crash/interrupted", interrupted, 100), ("crash/interrupted-twice", interrupted_twice, 100),
        ("crash/file-gone", file_gone, 100), ("crash/file-cut", file_cut, 100),
        ("crash/state-broken", state_broken, 100), ("crash/seed-loses-its-file", seed_loses_its_file, 60),
        ("disk/full", disk_full, 160), ("disk/full-then-stop", disk_full_then_stop, 160), ("disk/unwritable", unwritable, 60),
    ]
