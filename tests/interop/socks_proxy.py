"""A SOCKS5 proxy (RFC 1928) of one thread: CONNECT and UDP ASSOCIATE, no password.

  socks_proxy.py IP PORT

Says `connect HOST:PORT` for each stream, `udp HOST:PORT` for the first datagram to each destination, as it was asked for."""
import selectors
import socket
import struct
import sys

IP, PORT = sys.argv[1], int(sys.argv[2])
SEL = selectors.DefaultSelector()
TOLD = set()


def say(text):
    if text not in TOLD:
        TOLD.add(text)
        print(text, flush=True)


def take_address(data, at):
    """(host, port, where it ends) of the address at `at`, which begins with its kind."""
    kind = data[at]
    if kind == 1:
        host, end = socket.inet_ntoa(data[at + 1:at + 5]), at + 5
    elif kind == 3:
        end = at + 2 + data[at + 1]
        host = data[at + 2:end].decode()
    else:
        host, end = socket.inet_ntop(socket.AF_INET6, data[at + 1:at + 17]), at + 17
    return host, struct.unpack(">H", data[end:end + 2])[0], end + 2


def head_of(addr):
    return b"\0\0\0\1" + socket.inet_aton(addr[0]) + struct.pack(">H", addr[1])


class Relay:
    """Of one control connection: a socket towards the client, one towards the world. Whoever sends first from the client's host is it."""

    def __init__(self, control):
        self.control, self.client, self.names = control, None, {}
        self.near, self.far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "ab")
        self.near.bind((IP, 0))
        self.far.bind(("0.0.0.0", 0))
        for s in (self.near, self.far):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            s.setblocking(False)
        SEL.register(self.near, selectors.EVENT_READ, self.from_client)
        SEL.register(self.far, selectors.EVENT_READ, self.from_world)
        control.sendall(b"\5\0\0\1" + socket.inet_aton("0.0.0.0") + struct.pack(">H", self.near.getsockname()[1]))

    def from_client(self):
        for _ in range(64):
            try:
                data, addr = self.near.recvfrom(65536)
            except BlockingIOError:
                return
            if self.client not in (None, addr) or addr[0] != self.control.getpeername()[0] or data[:3] != b"\0\0\0":
                continue
            self.client = addr
            host, port, end = take_address(data, 3)
            say("udp %s:%d" % (host, port))
            if host not in self.names:
                self.names[host] = socket.gethostbyname(host)
            self.send(self.far, data[end:], (self.names[host], port))

    def from_world(self):
        for _ in range(64):
            try:
                data, addr = self.far.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                continue
            if self.client:
                self.send(self.near, head_of(addr) + data, self.client)

    @staticmethod
    def send(sock, data, to):
        try:
            sock.sendto(data, to)
        except OSError:
            pass

    def close(self):
        for s in (self.near, self.far):
            SEL.unregister(s)
            s.close()


class Client:
    """A control connection, then a stream or the sign that a relay is still wanted."""

    def __init__(self, sock):
        self.sock, self.buf, self.other, self.relay = sock, b"", None, None
        self.greeted = False
        SEL.register(sock, selectors.EVENT_READ, self.read)

    def end(self):
        if self.relay:
            self.relay.close()
        for s in (self.sock, self.other):
            if s and s.fileno() >= 0:
                SEL.unregister(s)
                s.close()

    def pump(self, a, b):
        try:
            data = a.recv(65536)
            if data:
                b.sendall(data)
                return
        except OSError:
            pass
        self.end()

    def read(self):
        if self.other:
            self.pump(self.sock, self.other)
            return
        try:
            data = self.sock.recv(4096)
        except OSError:
            data = b""
        if not data:
            self.end()
            return
        self.buf += data
        if not self.greeted and len(self.buf) >= 2 and len(self.buf) >= 2 + self.buf[1]:
            self.buf = self.buf[2 + self.buf[1]:]
            self.greeted = True
            self.sock.sendall(b"\5\0")
        if self.greeted and len(self.buf) >= 10:
            self.ask()

    def ask(self):
        command, (host, port, _) = self.buf[1], take_address(self.buf, 3)
        self.buf = b""
        if command == 3:
            self.relay = Relay(self.sock)
            return
        say("connect %s:%d" % (host, port))
        try:
            self.other = socket.create_connection((host, port), 5)
        except OSError:
            self.sock.sendall(b"\5\5\0\1" + bytes(6))
            self.end()
            return
        self.sock.sendall(b"\5\0\0\1" + bytes(6))
        SEL.register(self.other, selectors.EVENT_READ, lambda: self.pump(self.other, self.sock))


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((IP, PORT))
    listener.listen(16)
    SEL.register(listener, selectors.EVENT_READ, lambda: Client(listener.accept()[0]))
    say("ready")
    while True:
        for key, _ in SEL.select():
            if key.fileobj.fileno() >= 0:
                key.data()


main()
