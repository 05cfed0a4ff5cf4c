"""Finding and reaching peers: our address by the votes of others, hole punching through real NAT boxes."""
import os
import time

import clients
import payload
from cases_reach import Space
from lab import Skipped, need
import nat


def lt_in(lab, space, role, torrent, folder, ip, port, mode="both", peers=(), name="lt", **settings):
    """A libtorrent peer in a namespace."""
    import json
    return lab.start(name, space.cmd(clients.PYTHON, os.path.join(clients.HERE, "lt_client.py"), role, torrent, folder, ip, str(port),
                                     mode, *peers), env={"LT_SETTINGS": json.dumps(settings)})


def votes(lab):
    """Three peers in three networks say how they see us; two are not enough."""
    if not clients.installed("lt"):
        raise Skipped("libtorrent is not installed")
    space = Space(lab, "wide", ("ip addr add 45.0.0.1/8 dev lo",))
    target = payload.path_of(lab.root, "single")
    torrent = payload.torrent_of(lab.root, "single", "v1")
    seeds = [lt_in(lab, space, "seed", torrent, os.path.dirname(target), "45.%d.0.1" % i, 20001, name="seed") for i in (1, 2, 3)]
    for n, word in ((2, False), (3, True)):
        peers = [w for i in range(1, n + 1) for w in ("--peer", "45.%d.0.1:20001" % i)]
        lab.until("the seeds are ready", lambda: all("done" in s.output() for s in seeds))
        get = lab.run("get", space.cmd(lab.options.kith, "get", torrent, "-v", "--no-dht", "--no-port-map", "-o", lab.path("out%d" % n),
                                       "--listen", "45.9.0.1", "--port", "20002", "--state", lab.path("state%d" % n), "--down", "4M", *peers))
        need(get.code == 0, "kith get: " + get.errors()[-300:])
        said = "our address, as others see it, is 45.9.0.1" in get.errors()
        need(said == word, "%d peers: %s" % (n, get.errors()[-300:]))


PORT = 20001
SLOW_BPS = 20000                        # of the relay's uplink: the file takes half an hour by it


def member(lab, homes, where, kind, role, torrent, target):
    """One of the three. The relay wants the file too, and gives next to nothing of it."""
    space, ip = (homes.core, nat.CORE) if where == "core" else (getattr(homes, where), nat.HOSTS[where])
    out = lab.path("out-" + where)
    os.makedirs(out)
    peers = [] if where == "core" else ["%s:%d" % (nat.CORE, PORT)]
    if kind == "lt":
        limits = {"upload_rate_limit": SLOW_BPS, "download_rate_limit": SLOW_BPS} if where == "core" else {}
        return lt_in(lab, space, role, torrent, os.path.dirname(target) if role == "seed" else out, ip, PORT, peers=peers,
                     name="%s-lt" % where, peer_connect_timeout=5, **limits)
    command = [lab.options.kith]
    command += ["share", target, "--torrent", torrent] if role == "seed" else ["get", torrent, "-o", out]
    command += ["-v", "-v", "--no-dht", "--no-port-map", "--listen", ip, "--port", str(PORT), "--state", lab.path("state-" + where)]
    command += ["--up", "20k", "--down", "20k"] if where == "core" else []
    for p in peers:
        command += ["--peer", p]
    return lab.start("%s-kith" % where, space.cmd(*command))


def punched(proc):
    return "connects to us" in proc.errors()


def punch(nats, relay, seed, leech, meets=True):
    """Neither home knows of the other but by the relay. The leech completes at all only if the two meet."""
    def run(lab):
        if "lt" in (relay, seed, leech) and not clients.installed("lt"):
            raise Skipped("libtorrent is not installed")
        target = payload.path_of(lab.root, "single")
        torrent = payload.torrent_of(lab.root, "single", "v1")
        homes = nat.Homes(lab, *nats, PORT)
        middle = member(lab, homes, "core", relay, "leech", torrent, target)
        one = member(lab, homes, "a", seed, "seed", torrent, target)
        time.sleep(3)
        other = member(lab, homes, "b", leech, "leech", torrent, target)
        began = time.monotonic()
        copy = os.path.join(lab.path("out-b"), os.path.basename(target))
        done = lambda: "done" in other.output() if leech == "lt" else other.popen.poll() is not None
        if not meets:
            time.sleep(45)
            need(not done(), "they met")
            need(leech != "kith" or punched(other), "it was not tried")
            return
        lab.until("they have met and the leech is complete", done)
        need(not payload.differences(target, copy), "the copy differs")
        # Where ports are kept one side may get through by itself, after the other side's first word has opened its box.
        knocked = [punched(proc) for kind, proc in ((seed, one), (leech, other)) if kind == "kith"]
        need(not knocked or (all if "shifted" in nats else any)(knocked), "not by hole punching: " + one.errors()[-300:] + other.errors()[-300:])
        lab.notes.append("complete after %.0f s" % (time.monotonic() - began))
        need(middle.alive(), "the relay has ended")
    return run


def cases():
    shifted, port = ("shifted", "shifted"), ("port", "port")
    return [
        ("find/votes", votes, 90),
        ("punch/kith-by-kith-to-kith", punch(shifted, "kith", "kith", "kith"), 100),
        ("punch/kith-by-kith-to-kith/symmetric", punch(("symmetric", "address"), "kith", "kith", "kith"), 100),
        ("punch/kith-by-kith-to-kith/impossible", punch(("symmetric", "shifted"), "kith", "kith", "kith", meets=False), 100),
        ("punch/kith-by-lt-to-kith", punch(port, "lt", "kith", "kith"), 150),
        ("punch/lt-by-kith-to-kith", punch(shifted, "kith", "lt", "kith"), 150),
        ("punch/kith-by-kith-to-lt", punch(shifted, "kith", "kith", "lt"), 150),
        ("punch/lt-by-kith-to-lt", punch(shifted, "kith", "lt", "lt"), 150),
        ("punch/lt-by-lt-to-kith", punch(port, "lt", "lt", "kith"), 150),
    ]
