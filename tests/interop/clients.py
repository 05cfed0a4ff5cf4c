"""How each program is started as a peer or tracker, and how it tells that it is complete."""
import base64
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import lab as lablib

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = {"kith": "kith", "lt": "libtorrent", "ar": "aria2", "tr": "transmission", "rt": "rtorrent"}
PYTHON = "/usr/bin/python3"             # the one that Debian's python3-libtorrent belongs to


def installed(kind):
    if kind == "lt":
        return subprocess.run([PYTHON, "-c", "import libtorrent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0
    return shutil.which({"ar": "aria2c", "tr": "transmission-daemon", "rt": "rtorrent", "ot": "opentracker"}.get(kind, kind)) is not None


def is_link(torrent):
    return torrent.startswith("magnet:")


class Peer:
    """One program with one torrent. `done()` is true once it says that it has everything."""

    def __init__(self, lab, role, torrent, folder, ip, port, peers=(), mode="tcp", stay=True):
        self.lab, self.role, self.torrent, self.folder = lab, role, torrent, folder
        self.ip, self.port, self.peers, self.mode, self.stay = ip, port, peers, mode, stay
        self.proc = None

    def start(self):
        raise NotImplementedError

    def done(self):
        raise NotImplementedError

    def ready(self):
        """Does it listen?"""
        return lablib.tcp_open(self.ip, self.port)

    def finish(self):
        """At the end of the test: anything about how it ended that is a failure."""
        self.proc.kill()


class Libtorrent(Peer):
    settings = {}

    def start(self):
        self.proc = self.lab.start("lt-" + self.role, [PYTHON, os.path.join(HERE, "lt_client.py"), self.role, self.torrent,
                                                       self.folder, self.ip, self.port, self.mode, *self.peers],
                                   env={"LT_SETTINGS": json.dumps(self.settings)} if self.settings else {})

    def done(self):
        return "done" in self.proc.output()


class Aria2(Peer):
    def start(self):
        command = ["aria2c", "--interface=" + self.ip, "--listen-port=%d" % self.port, "--enable-dht6=false",
                   "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--disable-ipv6=true", "--file-allocation=none",
                   "--summary-interval=0", "--console-log-level=notice", "--bt-max-peers=0", "--follow-torrent=mem",
                   "-d", self.folder]
        # Its UDP tracker client lives on the socket of its DHT; without entry points that stays silent.
        if not is_link(self.torrent) and b"udp://" in open(self.torrent, "rb").read():
            command += ["--enable-dht=true", "--dht-listen-port=%d" % self.port, "--dht-file-path=" + self.lab.path("ar-%d.dht" % self.port)]
        else:
            command += ["--enable-dht=false"]
        if self.mode == "mse":
            command += ["--bt-require-crypto=true", "--bt-min-crypto-level=arc4"]
        if self.role == "seed":
            command += ["--bt-seed-unverified=true", "--seed-ratio=0.0"]
        elif self.stay:
            command += ["--seed-ratio=0.0"]
        else:
            command += ["--seed-time=0"]
        self.proc = self.lab.start("ar-" + self.role, command + [self.torrent])

    def done(self):
        if self.role == "seed":
            return self.ready()
        if not self.proc.alive() and self.proc.popen.returncode != 0:
            raise lablib.Failed("aria2c ended with %d: %s" % (self.proc.popen.returncode, self.proc.output()[-300:]))
        said = self.proc.output()
        return not self.proc.alive() or "Download complete" in said or "SEED(" in said


class Transmission(Peer):
    RPC = 9091

    def start(self):
        config = self.lab.path("tr-%s-%d" % (self.role, self.port))
        os.makedirs(config)
        settings = {
            "download-dir": self.folder, "incomplete-dir-enabled": False, "bind-address-ipv4": self.ip, "peer-port": self.port,
            "rpc-bind-address": self.ip, "rpc-port": self.RPC, "rpc-whitelist-enabled": False,
            "rpc-host-whitelist-enabled": False, "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False,
            "port-forwarding-enabled": False, "utp-enabled": self.mode in ("utp", "both"),
            "encryption": 2 if self.mode == "mse" else 0, "speed-limit-up-enabled": False, "speed-limit-down-enabled": False,
            "ratio-limit-enabled": False, "upload-slots-per-torrent": 50, "peer-limit-global": 2000,
            "peer-limit-per-torrent": 500, "queue-stalled-enabled": False, "download-queue-enabled": False,
            "seed-queue-enabled": False, "rename-partial-files": False, "trash-original-torrent-files": False,
        }
        with open(os.path.join(config, "settings.json"), "w", encoding="ascii") as f:
            json.dump(settings, f)
        self.proc = self.lab.start("tr-" + self.role, ["transmission-daemon", "-f", "-g", config])
        if is_link(self.torrent):
            self.rpc("torrent-add", filename=self.torrent)
        else:
            metainfo = base64.b64encode(open(self.torrent, "rb").read()).decode()
            self.rpc("torrent-add", metainfo=metainfo, paused=self.role == "seed")
        if self.role == "seed":             # a full check first, or it hashes every piece when it is asked for it
            self.rpc("torrent-verify", ids=[1])
            time.sleep(0.1)
            self.lab.until("transmission has checked its seed", lambda: self.state()["status"] not in (1, 2))
            lablib.need(self.state()["leftUntilDone"] == 0, "transmission finds its seed incomplete")
            self.rpc("torrent-start", ids=[1])

    def rpc(self, method, **arguments):
        session = ""
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        for _ in range(500):
            request = urllib.request.Request("http://%s:%d/transmission/rpc" % (self.ip, self.RPC), body,
                                             {"X-Transmission-Session-Id": session})
            try:
                with urllib.request.urlopen(request, timeout=10) as reply:
                    return json.load(reply)["arguments"]
            except urllib.error.HTTPError as e:
                session = e.headers["X-Transmission-Session-Id"]
            except OSError:
                time.sleep(0.05)
        raise lablib.Failed("transmission's RPC does not answer")

    def state(self):
        fields = ["status", "percentDone", "leftUntilDone", "errorString"]
        return self.rpc("torrent-get", ids=[1], fields=fields)["torrents"][0]

    def done(self):
        time.sleep(0.1)
        return self.state()["leftUntilDone"] == 0 and self.state()["percentDone"] == 1


class Rtorrent(Peer):
    plain = "allow_incoming,try_outgoing,enable_retry"

    def start(self):
        session = self.lab.path("rt-%s-%d" % (self.role, self.port))
        os.makedirs(session)
        self.mark = os.path.join(session, "done")
        encryption = "allow_incoming,try_outgoing,require,require_RC4" if self.mode == "mse" else self.plain
        lines = [
            "session.path.set = " + session, "directory.default.set = " + self.folder, "network.bind_address.set = " + self.ip,
            "network.port_range.set = %d-%d" % (self.port, self.port), "network.port_random.set = no", "dht.mode.set = disable",
            "protocol.pex.set = no", "protocol.encryption.set = " + encryption, "trackers.use_udp.set = yes",
            "throttle.global_up.max_rate.set_kb = 0", "throttle.global_down.max_rate.set_kb = 0",
            "throttle.max_uploads.set = 50", "throttle.max_peers.normal.set = 500", "throttle.min_peers.normal.set = 100",
            "network.max_open_files.set = 1000", "network.http.max_open.set = 50", "pieces.memory.max.set = 4096M",
            "pieces.hash.on_completion.set = no", "system.daemon.set = true",
            'method.set_key = event.download.finished,mark,"execute.nothrow=touch,%s"' % self.mark,
            "load.start = " + self.torrent,
        ]
        with open(os.path.join(session, "rc"), "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        self.proc = self.lab.start("rt-" + self.role, ["rtorrent", "-n", "-o", "import=" + os.path.join(session, "rc")],
                                   env={"TERM": "xterm"})

    def done(self):
        return self.ready() if self.role == "seed" else os.path.exists(self.mark)


class Kith(Peer):
    extra = ()

    def ready(self):
        if "--no-tcp" in self.extra:
            return "seeding on port" in self.proc.errors()
        return super().ready()

    def common(self):
        state = self.lab.path("kith-state-%d" % self.port)
        return ["--listen", self.ip, "--port", self.port, *lablib.quiet(), "--no-port-map", "--state", state,
                *[x for p in self.peers for x in ("--peer", p)], *self.extra]

    def start(self):
        kith = self.lab.options.kith
        if self.role == "seed":
            command = [kith, "share", self.folder, "--torrent", self.torrent]
        else:
            command = [kith, "get", self.torrent, "-o", self.folder] + (["--seed"] if self.stay else [])
        self.proc = self.lab.start("kith-" + self.role, command + self.common())

    def done(self):
        if self.role == "seed":
            lablib.need(self.proc.alive(), "kith share ended: %s" % self.proc.errors()[-300:])
            return self.ready()
        code = self.proc.popen.poll()
        if code is None:
            return False
        if code != 0:
            raise lablib.Failed("kith get ended with %d: %s" % (code, self.proc.errors()[-300:]))
        return True

    def finish(self):
        if not self.proc.alive():
            code = self.proc.popen.returncode
            lablib.need(self.role == "leech" and code == 0, "kith %s ended with %d" % (self.role, code))
            return
        code = self.proc.stop()
        lablib.need(code in (0, 7), "kith %s: SIGINT gave %s" % (self.role, "no end within 10 s" if code is None else code))


KINDS = {"kith": Kith, "lt": Libtorrent, "ar": Aria2, "tr": Transmission, "rt": Rtorrent}


class Tracker:
    """opentracker ('ot') or kith tracker ('kith') on one address; both protocols on one port number."""

    PORT = 6969

    def __init__(self, lab, kind, ip, hashes, extra=()):
        self.ip, self.kind = ip, kind
        if kind == "ot":
            listed = lab.path("whitelist-" + ip)
            with open(listed, "w", encoding="ascii") as f:
                f.write("".join(h.hex() + "\n" for h in hashes))
            os.chmod(listed, 0o644)
            command = [*lablib.as_nobody(), "opentracker", "-i", ip, "-p", self.PORT, "-P", self.PORT, "-w", listed]
        else:
            command = [lab.options.kith, "tracker", "--listen", ip, "--http", self.PORT, "--udp", self.PORT,
                       *extra]
        self.proc = lab.start(kind + "-tracker", command)
        lab.until("the tracker %s answers" % kind, self.ready, 15)

    def ready(self):
        lablib.need(self.proc.alive(), "the tracker ended: %s" % self.proc.errors()[-300:])
        return lablib.tcp_open(self.ip, self.PORT) and lablib.udp_tracker_open(self.ip, self.PORT)

    def url(self, protocol):
        return "%s://%s:%d/announce" % (protocol, self.ip, self.PORT)

    def finish(self):
        if self.kind == "kith":
            code = self.proc.stop()
            lablib.need(code in (0, 7), "kith tracker: SIGINT gave %s" % code)
        self.proc.kill()


if __name__ == "__main__":
    print({kind: installed(kind) for kind in ("lt", "ar", "tr", "rt", "ot")}, file=sys.stderr)
