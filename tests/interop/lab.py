"""A laboratory for one test: a work folder, addresses of its own, processes that end with it, a deadline."""
import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import time


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def quiet(*more):
    """Options of `kith get` and `kith share` that meet nobody by chance: neither in the DHT nor in the same network."""
    return ["--no-dht", "--no-lsd", *more]


def need(condition, text):
    if not condition:
        raise Failed(text)


def die_with_parent():
    """In the child: a harness that is killed leaves nothing behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def enter_namespace(argv):
    """Starts the program again in a network and mount namespace where all of 10.77/16 is local. False: not permitted."""
    if os.environ.get("KITH_LAB") == "inside":
        for command in (["ip", "link", "set", "lo", "up"], ["ip", "addr", "add", "10.77.0.1/16", "dev", "lo"]):
            subprocess.run(command, check=True)
        # Kernels without IPv6 have none of it; what needs it is skipped.
        subprocess.run(["ip", "-6", "route", "add", "local", "fd77::/64", "dev", "lo"], stderr=subprocess.DEVNULL, check=False)
        for name, value in (("ipv4/tcp_congestion_control", "cubic"),       # the default elsewhere; what came with the machine varies
                            ("ipv6/ip_nonlocal_bind", "1")):                # for the route above
            try:
                with open("/proc/sys/net/" + name, "w", encoding="ascii") as f:
                    f.write(value)
            except OSError:
                pass
        return True
    # In a chroot only the network can be had: what would mount is skipped then.
    for how in (["unshare", "-nm"], ["unshare", "-rnm"], ["unshare", "-n"], ["unshare", "-rn"]):
        try:
            probe = subprocess.run(how + ["ip", "link", "set", "lo", "up"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        except FileNotFoundError:
            return False
        if probe.returncode == 0:
            os.environ["KITH_LAB"] = "inside"
            os.environ["KITH_LAB_MOUNTS"] = "yes" if "m" in how[1] else ""
            os.execvp(how[0], how + [sys.executable] + argv)
    return False


def as_nobody():
    """A prefix for programs that refuse to be root: another user, or where only one exists, no mapped user at all."""
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig=KILL"]
    if subprocess.run(other + ["true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        return other
    return ["unshare", "-U"]


class Proc:
    """A running program. Its output goes to a file; it is stopped by its pid only. It ends with the thread that starts it,
    unless `bound` is false."""

    def __init__(self, name, command, folder, env=None, stdout=None, cwd=None, bound=True):
        self.name = name
        self.command = [str(c) for c in command]
        self.log = os.path.join(folder, name + ".log")
        self.err = os.path.join(folder, name + ".err")
        out = open(stdout or self.log, "wb")
        err = open(self.err, "wb")
        home = os.path.join(folder, name + ".home")
        os.makedirs(home, exist_ok=True)
        self.popen = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd or folder,
                                      env=dict(os.environ, HOME=home, **(env or {})), preexec_fn=die_with_parent if bound else None)
        out.close()
        err.close()

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def wait(self, seconds):
        """Its exit code (negative: the signal), or None if it still runs after that long."""
        try:
            return self.popen.wait(max(seconds, 0.01))
        except subprocess.TimeoutExpired:
            return None

    def stop(self, how=signal.SIGINT, seconds=10):
        """Asks it to end; its exit code, or None if it had to be killed."""
        if self.alive():
            self.popen.send_signal(how)
        code = self.wait(seconds)
        if code is None:
            self.kill()
        return code

    def kill(self):
        if self.alive():
            self.popen.kill()
        self.popen.wait()

    def output(self):
        return open(self.log, encoding="utf-8", errors="replace").read()

    def errors(self):
        return open(self.err, encoding="utf-8", errors="replace").read()

    def status(self, key):
        """A number of /proc/PID/status: VmHWM and VmRSS in KiB, Threads."""
        try:
            for line in open("/proc/%d/status" % self.pid, encoding="ascii", errors="replace"):
                if line.startswith(key + ":"):
                    return int(line.split()[1])
        except OSError:
            pass
        return 0

    def open_files(self):
        try:
            return len(os.listdir("/proc/%d/fd" % self.pid))
        except OSError:
            return 0


class Lab:
    """What a test function gets."""

    def __init__(self, name, slot, root, options, seconds):
        self.name = name
        self.root = root                        # shared by all tests: payloads
        self.slot = slot
        self.options = options
        self.folder = os.path.join(root, "runs", name.replace("/", "-"))
        os.makedirs(self.folder)
        self.deadline = time.monotonic() + seconds
        self.procs = []
        self.notes = []
        self.cleanups = []

    def ip(self, n):
        return "10.77.%d.%d" % (1 + self.slot % 250, n)

    def ip6(self, n):
        """The same in IPv6; skips the test where there is none."""
        ip = "fd77::%x:%x" % (1 + self.slot % 250, n)
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
                s.bind((ip, 0))
        except OSError as e:
            raise Skipped("no IPv6: %s" % e) from None
        return ip

    def path(self, name):
        return os.path.join(self.folder, name)

    def left(self):
        return self.deadline - time.monotonic()

    def start(self, name, command, **more):
        proc = Proc("%d-%s" % (len(self.procs), name), command, self.folder, **more)
        self.procs.append(proc)
        return proc

    def run(self, name, command, seconds=60, **more):
        """Runs a program to its end; Failed if it does not end."""
        proc = self.start(name, command, **more)
        code = proc.wait(min(seconds, self.left()))
        if code is None:
            proc.kill()
            raise Failed("%s did not end within %d s" % (name, seconds))
        proc.code = code
        return proc

    def until(self, what, condition, seconds=None):
        """Waits until condition() is true; Failed if that takes too long."""
        end = min(self.deadline, time.monotonic() + (seconds or 1e9))
        while not condition():
            if time.monotonic() > end:
                raise Failed("timed out waiting until %s" % what)
            time.sleep(0.02)

    def close(self):
        for proc in reversed(self.procs):
            proc.kill()
        for undo in reversed(self.cleanups):
            undo()


def tcp_open(ip, port):
    try:
        socket.create_connection((ip, port), 1).close()
        return True
    except OSError:
        return False


def udp_tracker_open(ip, port):
    """Does a BEP 15 tracker answer a connect request there?"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3)
        try:
            s.sendto(struct.pack(">QII", 0x41727101980, 0, 0x1234), (ip, port))
            return s.recv(64)[:8] == struct.pack(">II", 0, 0x1234)
        except OSError:
            return False
