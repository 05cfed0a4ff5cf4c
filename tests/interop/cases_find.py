"""Finding and reaching peers: our address by the votes of others, hole punching through real NAT
boxes, local discovery in a network of its own."""
import json
import os
import subprocess
import sys
import time

import clients
import payload
from cases_pex import private_copy
from cases_reach import Space
from lab import Skipped, need, quiet
import nat


def lt_in(lab, space, role, torrent, folder, ip, port, mode="both", peers=(), name="lt", **settings):
    """A libtorrent peer in a namespace."""
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
        get = lab.run("get", space.cmd(lab.options.kith, "get", torrent, "-v", *quiet("--no-port-map"), "-o", lab.path("out%d" % n),
                                       "--listen", "45.9.0.1", "--port", "20002", "--state", lab.path("state%d" % n), "--down", "4M", *peers))
        need(get.code == 0, "kith get: " + get.errors()[-300:])
        said = "our address, as others see it, is 45.9.0.1" in get.errors()
        need(said == word, "%d peers: %s" % (n, get.errors()[-300:]))


class Lan:
    """Hosts 10.9.0.N, fd09::N on one bridge."""

    def __init__(self, lab):
        self.lab = lab
        self.bridge = Space(lab, "bridge", ("ip link add br0 type bridge mcast_snooping 0", "ip link set br0 up"))

    def host(self, n):
        space = Space(self.lab, "host%d" % n, ())
        space.do("ip link add eth0 type veth peer name to%d netns %d" % (n, self.bridge.holder.pid))
        self.bridge.do("ip link set to%d up && ip link set to%d master br0" % (n, n))
        space.do("ip addr add 10.9.0.%d/24 dev eth0 && ip addr add fd09::%d/64 dev eth0 nodad && ip link set eth0 up" % (n, n))
        space.do("ip route add default via 10.9.0.254 dev eth0")       # some look for it to find their interface
        return space


def in_space(lab, kind, space, role, torrent, folder, ip):
    """A program of that kind that has local discovery and nothing else to find others by; its process and whether it is done."""
    if kind == "kith":
        words = ["share", folder, "--torrent", torrent] if role == "seed" else ["get", torrent, "-o", folder]
        proc = lab.start("kith-" + role, space.cmd(lab.options.kith, *words, "--no-dht", "--no-port-map", "--port", str(PORT), "--state",
                                                   lab.path("state-" + role), *(("--listen", ip) if ip else ())))
        return proc, lambda: "seeding on port" in proc.errors() if role == "seed" else proc.popen.poll() == 0
    if kind == "lt":
        proc = lt_in(lab, space, role, torrent, folder, ip, PORT, enable_lsd=True)
        return proc, lambda: "done" in proc.output()
    if kind == "ar":
        words = ["--bt-seed-unverified=true", "--seed-ratio=0.0"] if role == "seed" else ["--seed-time=0"]
        proc = lab.start("ar-" + role, space.cmd("aria2c", "--listen-port=%d" % PORT, "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=true",
                                                 "--bt-lpd-interface=eth0", "--enable-peer-exchange=false", "--disable-ipv6=true", "--file-allocation=none",
                                                 "--summary-interval=0", "-d", folder, *words, torrent))
        return proc, (lambda: True) if role == "seed" else lambda: proc.popen.poll() == 0
    return transmission_in(lab, space, role, torrent, folder, ip)


def transmission_in(lab, space, role, torrent, folder, ip):
    config = lab.path("tr-" + role)
    os.makedirs(config)
    with open(os.path.join(config, "settings.json"), "w", encoding="ascii") as f:
        json.dump({"download-dir": folder, "peer-port": PORT, "rpc-bind-address": "127.0.0.1", "rpc-whitelist-enabled": False,
                   "rpc-host-whitelist-enabled": False, "dht-enabled": False, "lpd-enabled": True, "pex-enabled": False, "utp-enabled": False,
                   "port-forwarding-enabled": False, "ratio-limit-enabled": False, "rename-partial-files": False}, f)
    proc = lab.start("tr-" + role, space.cmd("transmission-daemon", "-f", "-g", config))
    remote = lambda *words: subprocess.run(space.cmd("transmission-remote", *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL, check=False).stdout.decode()
    lab.until("transmission answers", lambda: "ID" in remote("-l"), 20)
    remote("-a", torrent)
    if role == "seed":
        remote("-t", "1", "-v")
    return proc, lambda: "100%" in remote("-l")


def local(seed, leech, family=4):
    """Nothing but local discovery: no tracker, no DHT, no peer exchange, no address given."""
    def run(lab):
        for kind in (seed, leech):
            if kind != "kith" and not clients.installed(kind):
                raise Skipped("%s is not installed" % clients.NAMES[kind])
        target = payload.path_of(lab.root, "single")
        torrent = payload.torrent_of(lab.root, "single", "v1")
        lan, out = Lan(lab), lab.path("out")
        os.makedirs(out)
        address = lambda n: "fd09::%d" % n if family == 6 else "" if family == 0 else "10.9.0.%d" % n
        folder = target if seed == "kith" else os.path.dirname(target)
        _, ready = in_space(lab, seed, lan.host(2), "seed", torrent, folder, address(2))
        lab.until("the seed is ready", ready)
        began = time.monotonic()
        _, done = in_space(lab, leech, lan.host(3), "leech", torrent, out, address(3))
        lab.until("they have found each other and the leech is complete", done)
        need(not payload.differences(target, os.path.join(out, os.path.basename(target))), "the copy differs")
        lab.notes.append("complete after %.0f s" % (time.monotonic() - began))
    return run


def not_local(lab):
    """--no-lsd: nothing is said and nothing heard; the same for a private torrent."""
    target = payload.path_of(lab.root, "single")
    lan = Lan(lab)
    ear = lab.start("ear", lan.host(9).cmd(sys.executable, os.path.join(clients.HERE, "gateway.py"), "lsd", "10.9.0.9"))
    lab.until("somebody listens", lambda: "ready" in ear.output())
    plain = payload.torrent_of(lab.root, "single", "v1")
    for n, (torrent, words) in enumerate(((plain, quiet()), (private_copy(lab, plain), ["--no-dht"]), (plain, ["--no-dht"]))):
        kith = lab.start("kith%d" % n, lan.host(2 + n).cmd(lab.options.kith, "share", target, "--torrent", torrent, "--no-port-map", "--port",
                                                           str(PORT), "--state", lab.path("state%d" % n), *words))
        lab.until("kith shares", lambda k=kith: "seeding on port" in k.errors())
    lab.until("the last one is heard", lambda: "10.9.0.4" in ear.output(), 20)
    time.sleep(2)
    need("10.9.0.2" not in ear.output() and "10.9.0.3" not in ear.output(), "heard: " + ear.output())
    need(ear.output().count("10.9.0.4") == 1, "heard more than once: " + ear.output())


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
    command += ["-v", "-v", *quiet("--no-port-map"), "--listen", ip, "--port", str(PORT), "--state", lab.path("state-" + where)]
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
    found = [("lsd/%s-to-%s" % (a, b), local(a, b), 90) for a, b in (("kith", "kith"), ("kith", "lt"), ("lt", "kith"), ("kith", "ar"), ("ar", "kith"),
                                                                     ("kith", "tr"), ("tr", "kith"))]
    return found + [
        ("find/votes", votes, 90),
        ("lsd/ipv6", local("kith", "kith", 6), 60),
        ("lsd/any-address", local("kith", "kith", 0), 60),
        ("lsd/off-and-private", not_local, 60),
        ("punch/kith-by-kith-to-kith", punch(shifted, "kith", "kith", "kith"), 100),
        ("punch/kith-by-kith-to-kith/symmetric", punch(("symmetric", "address"), "kith", "kith", "kith"), 100),
        ("punch/kith-by-kith-to-kith/impossible", punch(("symmetric", "shifted"), "kith", "kith", "kith", meets=False), 100),
        ("punch/kith-by-lt-to-kith", punch(port, "lt", "kith", "kith"), 150),
        ("punch/lt-by-kith-to-kith", punch(shifted, "kith", "lt", "kith"), 150),
        ("punch/kith-by-kith-to-lt", punch(shifted, "kith", "kith", "lt"), 150),
        ("punch/lt-by-kith-to-lt", punch(shifted, "kith", "lt", "lt"), 150),
        ("punch/lt-by-lt-to-kith", punch(port, "lt", "lt", "kith"), 150),
    ]
