"""Ways to reach a peer: encrypted streams, forced and offered; the router's ports."""
import gzip
import os
import shutil
import signal
import subprocess
import sys
import time

import payload
from cases_transfer import OTHERS, one
from lab import Failed, Skipped, need, quiet

HERE = os.path.dirname(os.path.abspath(__file__))

REQUIRE = ("--encryption", "require")
OFF = ("--encryption", "off")


class Space:
    """A network namespace of its own, below the one of all tests."""

    def __init__(self, lab, name, setup):
        if not shutil.which("nsenter"):
            raise Skipped("no nsenter")
        self.lab = lab
        self.holder = lab.start("ns-" + name, ["unshare", "-n", "sleep", "600"])
        own = os.readlink("/proc/self/ns/net")
        lab.until("the namespace is there", lambda: self.entered(own))
        for line in ("ip link set lo up", *setup):
            self.do(line)

    def entered(self, own):
        need(self.holder.alive(), "unshare: " + self.holder.errors())
        try:
            return os.readlink("/proc/%d/ns/net" % self.holder.pid) != own
        except OSError:
            return False

    def cmd(self, *words):
        return ["nsenter", "-t", str(self.holder.pid), "-n", *words]

    def do(self, line):
        done = subprocess.run(self.cmd("sh", "-c", line), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise Failed("%s: %s" % (line, done.stdout.decode()[-200:]))
        return done.stdout.decode()


ROUTER = ("ip link add gw0 type veth peer name gw1", "ip addr add 10.78.0.2/24 dev gw0", "ip link set gw0 up", "ip link set gw1 up", "ip route add default via 10.78.0.1",
          "ip addr add 10.78.0.1/32 dev lo")


def shared_behind(lab, kind, port, extra=()):
    """`kith share` behind a router of ours that speaks `kind`; returns both processes."""
    space = Space(lab, "home", ROUTER)
    gateway = lab.start("gateway", space.cmd(sys.executable, os.path.join(HERE, "gateway.py"), kind))
    lab.until("the gateway is ready", lambda: "ready" in gateway.output())
    torrent = payload.with_trackers(payload.torrent_of(lab.root, "single", "v1"), lab.path("t.torrent"), [["http://10.78.0.1:6969/announce"]])
    kith = lab.start("kith", space.cmd(lab.options.kith, "share", payload.path_of(lab.root, "single"), "--torrent", torrent, *quiet(),
                                       "--port", str(port), "--state", lab.path("state"), *extra))
    return gateway, kith


def said(lab, gateway, line, seconds=30):
    lab.until("the gateway says: " + line, lambda: line in gateway.output(), seconds)


def natpmp(lab):
    """Mapped, announced, renewed; another external port is announced; taken back at the end."""
    gateway, kith = shared_behind(lab, "natpmp", 51413)
    said(lab, gateway, "map TCP 51413 52413 3600")
    said(lab, gateway, "map UDP 51413 52413 3600")
    said(lab, gateway, "announce 52413")
    gateway.popen.send_signal(signal.SIGUSR1)
    said(lab, gateway, "map TCP 51413 53413 3600")      # leases last 30 s: renewed after half of it
    said(lab, gateway, "announce 53413", 5)
    need(kith.stop() == 0, "kith share ended badly: " + kith.errors()[-300:])
    for line in ("unmap TCP 51413", "unmap UDP 51413", "announce 53413 stopped"):
        said(lab, gateway, line, 1)


def pcp(lab):
    """The same by PCP. A router that says it has another address is asked at once, and trackers are told again, from there."""
    gateway, kith = shared_behind(lab, "pcp", 51413)
    said(lab, gateway, "map TCP 51413 52413 3600")
    said(lab, gateway, "map UDP 51413 52413 3600")
    said(lab, gateway, "announce 52413")
    before = gateway.output().count("announce 52413")
    gateway.popen.send_signal(signal.SIGUSR2)           # leases last ten minutes: nobody would notice for five
    lab.until("it is announced from the new address", lambda: gateway.output().count("announce 52413") > before, 8)
    need(gateway.output().count("map TCP 51413 52413 3600") == 2, "the mapping was not renewed: " + gateway.output())
    need(kith.stop() == 0, "kith share ended badly: " + kith.errors()[-300:])
    for line in ("unmap TCP 51413", "unmap UDP 51413", "announce 52413 stopped"):
        said(lab, gateway, line, 1)
    need("another nonce" not in gateway.output(), "the nonce of a mapping has changed")


def upnp(lab):
    """The port wished for is taken: the next one."""
    gateway, kith = shared_behind(lab, "upnp", 51500)
    said(lab, gateway, "map TCP 51501 51500 3600 10.78.0.1")
    said(lab, gateway, "map UDP 51501 51500 3600 10.78.0.1")
    said(lab, gateway, "announce 51501")
    need(kith.stop() == 0, "kith share ended badly: " + kith.errors()[-300:])
    said(lab, gateway, "unmap TCP 51501", 1)
    said(lab, gateway, "unmap UDP 51501", 1)


def unmapped(lab):
    """--no-port-map: nobody is asked."""
    gateway, kith = shared_behind(lab, "natpmp", 51413, ("--no-port-map",))
    said(lab, gateway, "announce 51413 started")
    need(kith.stop() == 0, "kith share ended badly: " + kith.errors()[-300:])
    need("map" not in gateway.output(), "the router was asked")


def sysctl(space, key, value):
    space.do("echo %s > /proc/sys/net/%s" % (value, key))


def link(space, name, own, other, other_name, peer):
    """A cable from `space` (10.X.0.2) to `other` (10.X.0.1)."""
    space.do("ip link add %s type veth peer name %s netns %d" % (name, other_name, other.holder.pid))
    space.do("ip addr add %s/24 dev %s && ip link set %s up" % (own, name, name))
    other.do("ip addr add %s/24 dev %s && ip link set %s up" % (peer, other_name, other_name))


def sent(space, device):
    """Packets that ever left by it."""
    for line in space.do("cat /proc/net/dev").splitlines():
        if line.strip().startswith(device + ":"):
            return int(line.split(":")[1].split()[9])
    raise Failed("no device " + device)


class Internet:
    """A home with an ordinary way out (eth0, the default) and another one, towards a tracker, a seed and a name server."""

    def __init__(self, lab, second):
        self.lab = lab
        self.far = Space(lab, "far", ("ip addr add 10.93.0.1/32 dev lo",))
        self.home = Space(lab, "home", ())
        for space in (self.home, self.far):
            sysctl(space, "ipv6/conf/all/disable_ipv6", 1)
        link(self.home, "eth0", "10.92.0.2", self.far, "eth1", "10.92.0.1")
        self.home.do("ip route add default via 10.92.0.1")
        target = payload.path_of(lab.root, "single")
        plain = payload.torrent_of(lab.root, "single", "v1")
        self.torrent = payload.with_trackers(plain, lab.path("t.torrent"), [["http://tracker.test:6969/announce"]])
        self.target, self.out = target, lab.path("out")
        os.makedirs(self.out)
        self.dns = lab.start("dns", self.far.cmd(sys.executable, os.path.join(HERE, "gateway.py"), "dns"))
        lab.until("the name server is ready", lambda: "ready" in self.dns.output())
        with open(lab.path("resolv.conf"), "w", encoding="ascii") as f:
            f.write("nameserver 10.93.0.1\n")
        if not os.environ.get("KITH_LAB_MOUNTS"):
            raise Skipped("no mounts here")
        kith = lab.options.kith
        lab.start("tracker", self.far.cmd(kith, "tracker", "--listen", "10.93.0.1", "--http", "6969"))
        seeds = payload.with_trackers(plain, lab.path("s.torrent"), [["http://10.93.0.1:6969/announce"]])
        lab.start("seed", self.far.cmd(kith, "share", target, "--torrent", seeds, "--listen", "10.93.0.1", "--port", "20001",
                                       "--no-port-map", *quiet(), "--state", lab.path("s1")))
        self.second = second

    def named(self, space, *command):
        """The same, with our name server in /etc/resolv.conf."""
        line = "mount --bind '%s' /etc/resolv.conf && exec \"$@\"" % self.lab.path("resolv.conf")
        return space.cmd("unshare", "-m", "sh", "-c", line, "sh", *command)

    def get(self, *extra):
        return self.lab.start("get", self.named(self.home, self.lab.options.kith, "get", self.torrent, "-o", self.out, "--state",
                                                self.lab.path("s2"), *quiet(*extra)))

    def here(self):
        copy = os.path.join(self.out, os.path.basename(self.target))
        return os.stat(copy).st_blocks * 512 if os.path.exists(copy) else 0


def bound(lab):
    """--interface: names, HTTP and peers by that device alone; gone, nothing leaves; back with another address, it goes on."""
    net = Internet(lab, "vpn")
    lay = lambda own: (link(net.home, "vpn0", own, net.far, "vpn1", "10.91.0.1"),
                       net.home.do("ip route add default via 10.91.0.1 dev vpn0 metric 100"))
    lay("10.91.0.2")
    get = net.get("--interface", "vpn0", "--down", "2M")
    lab.until("it fetches", lambda: net.here() > 4 << 20, 40)
    net.home.do("ip link del vpn0")
    time.sleep(2)
    before = net.here()
    time.sleep(4)
    need(net.here() == before, "it fetches without its device")
    need(get.alive(), "it ended: " + get.errors()[-300:])
    lay("10.91.0.3")
    began = time.monotonic()
    lab.until("it fetches again", lambda: net.here() > before + (1 << 20), 20)
    lab.notes.append("fetches again %.1f s after the device came back" % (time.monotonic() - began))
    need(time.monotonic() - began <= 11, "more than 10 s")
    need(get.wait(60) == 0, "kith get: " + get.errors()[-300:])
    need(not payload.differences(net.target, os.path.join(net.out, os.path.basename(net.target))), "the copy differs")
    need("asked" in net.dns.output() and "10.92" not in net.dns.output(), "names: " + net.dns.output()[-200:])
    need(sent(net.home, "eth0") == 0, "%d packets left by the other device" % sent(net.home, "eth0"))


def proxied(lab):
    """--proxy: peers, HTTP and its names through a SOCKS5 server with a password; nothing goes around it, not even when it dies."""
    if not shutil.which("microsocks"):
        raise Skipped("no microsocks")
    net = Internet(lab, "px")
    middle = Space(lab, "middle", ())
    sysctl(middle, "ipv6/conf/all/disable_ipv6", 1)
    link(net.home, "px0", "10.94.0.2", middle, "px1", "10.94.0.1")
    link(middle, "up0", "10.95.0.2", net.far, "up1", "10.95.0.1")
    middle.do("ip route add default via 10.95.0.1")
    proxy = lab.start("proxy", net.named(middle, "microsocks", "-i", "10.94.0.1", "-p", "1080", "-u", "me", "-P", "a b"))
    lab.until("the proxy listens", lambda: "0438" in middle.do("cat /proc/net/tcp"))
    get = net.get("--proxy", "socks5://me:a%20b@10.94.0.1:1080", "--down", "4M")
    lab.until("it says that there is no UDP", lambda: "relays no UDP" in get.errors(), 10)
    lab.until("it fetches", lambda: net.here() > 8 << 20, 40)
    proxy.kill()
    time.sleep(3)
    before = net.here()
    time.sleep(3)
    need(net.here() == before, "it fetches without its proxy")
    lab.start("proxy", net.named(middle, "microsocks", "-i", "10.94.0.1", "-p", "1080", "-u", "me", "-P", "a b"))
    began = time.monotonic()
    lab.until("it fetches again", lambda: net.here() > before + (1 << 20), 25)
    lab.notes.append("fetches again %.1f s after the proxy came back" % (time.monotonic() - began))
    need(get.wait(60) == 0, "kith get: " + get.errors()[-300:])
    need(get.errors().count("relays no UDP") == 1, "it is to be said once: " + get.errors()[-600:])
    need(not payload.differences(net.target, os.path.join(net.out, os.path.basename(net.target))), "the copy differs")
    need(sent(net.home, "eth0") == 0, "%d packets left around the proxy" % sent(net.home, "eth0"))


def relayed(lab, use_dht):
    """--proxy, and it relays UDP: peers by uTP alone, found by a UDP tracker or the DHT that are known by name. Nothing goes around it,
    not even when it dies; when it is back, all goes on."""
    net = Internet(lab, "px")
    middle = Space(lab, "middle", ())
    sysctl(middle, "ipv6/conf/all/disable_ipv6", 1)
    link(net.home, "px0", "10.94.0.2", middle, "px1", "10.94.0.1")
    link(middle, "up0", "10.95.0.2", net.far, "up1", "10.95.0.1")
    middle.do("ip route add default via 10.95.0.1")
    kith, plain = lab.options.kith, payload.torrent_of(lab.root, "single", "v1")
    if use_dht:
        # The seed has an address of the internet: what a DHT node there says about private networks is not believed.
        net.far.do("ip addr add 203.0.113.1/32 dev lo")
        lab.start("dht", net.far.cmd(kith, "dht", "--listen", "10.93.0.1", "--port", "6881", "--dht-router", "203.0.113.1:20002", "--state", lab.path("s3")))
        lab.start("dht-seed", net.far.cmd(kith, "share", net.target, "--torrent", plain, "--listen", "203.0.113.1", "--port", "20002", "--no-lsd",
                                          "--no-port-map", "--dht-router", "10.93.0.1:6881", "--state", lab.path("s4")))
        net.torrent, finds = plain, ("--no-lsd", "--dht-router", "tracker.test:6881")
    else:
        lab.start("udp-tracker", net.far.cmd(kith, "tracker", "--listen", "10.93.0.1", "--http", "6970", "--udp", "7070"))
        seeds = payload.with_trackers(plain, lab.path("u.torrent"), [["udp://10.93.0.1:7070/announce"]])
        lab.start("udp-seed", net.far.cmd(kith, "share", net.target, "--torrent", seeds, "--listen", "10.93.0.1", "--port", "20002",
                                          "--no-port-map", *quiet(), "--state", lab.path("s3")))
        net.torrent = payload.with_trackers(plain, lab.path("t.torrent"), [["udp://tracker.test:7070/announce"]])
        finds = quiet()
    command = net.named(middle, sys.executable, os.path.join(HERE, "socks_proxy.py"), "10.94.0.1", "1080")
    proxy = lab.start("proxy", command)
    lab.until("the proxy listens", lambda: "ready" in proxy.output())
    get = lab.start("get", net.named(net.home, kith, "get", net.torrent, "-o", net.out, "--state", lab.path("s2"), "--no-tcp", "--down", "4M",
                                     "--proxy", "socks5://10.94.0.1:1080", *finds))
    lab.until("it fetches", lambda: net.here() > 8 << 20, 40)
    need("udp tracker.test:%d" % (6881 if use_dht else 7070) in proxy.output(), "the proxy was told no name: " + proxy.output()[-300:])
    need("connect" not in proxy.output(), "TCP was used: " + proxy.output()[-300:])
    proxy.kill()
    time.sleep(3)
    before = net.here()
    time.sleep(3)
    need(net.here() == before, "it fetches without its proxy")
    lab.start("proxy-2", command)
    began = time.monotonic()
    lab.until("it fetches again", lambda: net.here() > before + (1 << 20), 60)
    lab.notes.append("fetches again %.1f s after the proxy came back" % (time.monotonic() - began))
    need(get.wait(60) == 0, "kith get: " + get.errors()[-300:])
    need("relays no UDP" not in get.errors(), get.errors()[-300:])
    need(not payload.differences(net.target, os.path.join(net.out, os.path.basename(net.target))), "the copy differs")
    need("asked from 10.94" not in net.dns.output() and "10.92" not in net.dns.output(), "names: " + net.dns.output()[-200:])
    need(sent(net.home, "eth0") == 0, "%d packets left around the proxy" % sent(net.home, "eth0"))


def blocklist(lab):
    """--blocklist, gzip: a blocked seed is not connected to, nor let in; another one is. Bad files are named with their line."""
    target = payload.path_of(lab.root, "single")
    torrent = payload.torrent_of(lab.root, "single", "v1")
    listed = lab.path("list.gz")
    with gzip.open(listed, "wb") as f:
        f.write(("# ours\nbad people, Inc:%s-%s\n\n10.0.0.0/16\n" % (lab.ip(2), lab.ip(2))).encode())
    kith = lab.options.kith
    common = quiet("--no-port-map", "--listen")
    lab.start("blocked", [kith, "share", target, "--torrent", torrent, *common, lab.ip(2), "--port", "20001", "--state", lab.path("s1"),
                          "--peer", lab.ip(3) + ":20002"])
    out = lab.path("out")
    get = lab.start("get", [kith, "get", torrent, "-o", out, *common, lab.ip(3), "--port", "20002", "--state", lab.path("s2"),
                            "--peer", lab.ip(2) + ":20001", "--blocklist", listed])
    time.sleep(8)                       # the blocked one tries each 5 s
    need(get.alive() and not os.path.exists(os.path.join(out, "single.bin")), "it talked to a blocked peer")
    lab.start("good", [kith, "share", target, "--torrent", torrent, *common, lab.ip(4), "--port", "20003", "--state", lab.path("s3"),
                       "--peer", lab.ip(3) + ":20002"])
    need(get.wait(40) == 0, "kith get: " + get.errors()[-300:])
    for text, words in (("hello\n" * 200, "line 1 is no range"), ("# nothing\n", "no range of addresses in 1 lines")):
        with open(lab.path("bad"), "w", encoding="ascii") as f:
            f.write(text)
        bad = lab.run("bad", [kith, "get", torrent, "-o", out, *quiet(), "--blocklist", lab.path("bad")])
        need(bad.code == 2 and words in bad.errors(), "%d %s" % (bad.code, bad.errors()[-300:]))
    with gzip.open(lab.path("bomb"), "wb", compresslevel=1) as f:
        for _ in range(400):
            f.write(b"# \n" * (1 << 18))
    bomb = lab.run("bomb", [kith, "get", torrent, "-o", out, *quiet(), "--blocklist", lab.path("bomb")])
    need(bomb.code == 2 and "more than 256 MiB" in bomb.errors(), "%d %s" % (bomb.code, bomb.errors()[-300:]))


def cases():
    out = []
    for other in OTHERS:
        # The other program takes nothing but RC4; kith by default, and when it wants no less.
        for name, extra in (("prefer", ()), ("require", REQUIRE)):
            out.append(("mse/kith-to-%s/%s" % (other, name), one("kith", other, "kith", "http", mode="mse", seed_extra=extra), 150))
            out.append(("mse/%s-to-kith/%s" % (other, name), one(other, "kith", "kith", "http", mode="mse", extra=extra), 150))
        # It takes what comes (libtorrent: nothing but plaintext), kith does not show what it is.
        out.append(("mse/%s-to-kith/other-plain" % other, one(other, "kith", "kith", "http"), 150))
    for name, seed, leech in (("require", REQUIRE, REQUIRE), ("prefer", (), ()), ("seed-requires", REQUIRE, ()), ("leech-requires", (), REQUIRE),
                              ("leech-off", (), OFF), ("seed-off", OFF, ())):
        out.append(("mse/kith-to-kith/" + name, one("kith", "kith", None, shape="multi", extra=leech, seed_extra=seed), 60))
    out += [("router/natpmp", natpmp, 90), ("router/pcp", pcp, 60), ("router/upnp", upnp, 60), ("router/no-port-map", unmapped, 60),
            ("bound/interface", bound, 120), ("bound/proxy", proxied, 180),
            ("bound/proxy-udp", lambda lab: relayed(lab, False), 180), ("bound/proxy-dht", lambda lab: relayed(lab, True), 180), ("bound/blocklist", blocklist, 120)]
    return out
