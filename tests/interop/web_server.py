"""web_server.py IP HTTP_PORT FTP_PORT FOLDER: a small web server that misbehaves as its paths say, and a small FTP server that does
not. /KIND/FILE: good, noranges, nolength, chunked, truncate, wrong, other, busy, error, loop, moved, changed, slow, named, tiny.
A line for each request goes to standard output."""
import http.server
import os
import socket
import socketserver
import sys
import threading
import time
import urllib.parse

FOLDER = ""
COUNT = {}
LOCK = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def head(self, status, length, **more):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def do_GET(self):
        _, kind, path = self.path.split("/", 2)
        path = urllib.parse.unquote(path)
        with LOCK:
            n = COUNT[self.path] = COUNT.get(self.path, 0) + 1
        print(kind, path, self.headers.get("Range", "-"), flush=True)
        try:
            self.answer(kind, path, n)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, kind, path, n):
        if kind == "loop":
            return self.head(302, 0, Location=self.path)
        if kind == "moved":
            return self.head(302, 0, Location="/good/" + urllib.parse.quote(path))
        if kind == "busy" and n % 3 != 0:
            return self.head(503, 0, Retry_After="1")
        if kind == "error" and n > 1:
            return self.head(500, 0)
        full = os.path.join(FOLDER, path)
        if not os.path.isfile(full):
            return self.head(404, 0)
        size = os.path.getsize(full)
        first, last, status = 0, size - 1, 200
        asked = self.headers.get("Range")
        if asked and kind not in ("noranges", "nolength", "chunked"):
            a, b = asked.split("=")[1].split("-")
            first, last, status = int(a), min(int(b) if b else size - 1, size - 1), 206
        if kind == "other" and n > 1 and n < 4:
            first, last = max(first - 2000000, 0), max(last - 2000000, 0)
        if kind == "tiny" and status == 206:
            last = min(last, first + 99999)
        with open(full, "rb") as f:
            f.seek(first)
            body = f.read(last - first + 1)
        return self.send(kind, n, status, body, "bytes %d-%d/%d" % (first, last, size))

    def send(self, kind, n, status, body, where):
        more = {"ETag": '"%s"' % (n if kind == "changed" else 1)}
        if status == 206:
            more["Content_Range"] = where
        if kind == "named":
            more["Content_Disposition"] = "attachment; filename=\"../../evil\"; filename*=UTF-8''..%2Fn%C3%A4me%20x.bin"
        if kind == "wrong":
            body = bytes(b ^ 1 for b in body)
        if kind == "chunked":
            self.head(status, None, Transfer_Encoding="chunked", **more)
            for at in range(0, len(body), 50000):
                part = body[at:at + 50000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        if kind == "nolength":
            self.head(status, None, Connection="close", **more)
            self.wfile.write(body)
            self.close_connection = True
            return
        self.head(status, len(body), **more)
        if kind == "truncate" and len(body) > 1 and n % 4 != 0:
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
        elif kind == "slow":
            for at in range(0, len(body), 65536):
                self.wfile.write(body[at:at + 65536])
                time.sleep(0.05)
        else:
            self.wfile.write(body)


class Web(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


class Ftp(socketserver.StreamRequestHandler):
    """USER, PASS, TYPE, SIZE, MDTM, PASV, EPSV, REST, RETR, CWD, PWD, QUIT; anybody may read."""

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        rest, listener, folder = 0, None, "/"
        self.say("220 here")
        while True:
            line = self.rfile.readline().decode(errors="replace").strip()
            if not line:
                return
            verb, _, what = line.partition(" ")
            verb = verb.upper()
            full = os.path.join(FOLDER, os.path.normpath(os.path.join(folder, what)).lstrip("/"))
            if verb == "USER":
                self.say("331 password")
            elif verb == "PASS":
                self.say("230 in")
            elif verb == "PWD":
                self.say('257 "%s"' % folder)
            elif verb == "CWD":
                folder = os.path.normpath(os.path.join(folder, what))
                self.say("250 ok")
            elif verb in ("TYPE", "OPTS"):
                self.say("200 ok")
            elif verb == "SIZE":
                self.say("213 %d" % os.path.getsize(full) if os.path.isfile(full) else "550 no")
            elif verb == "MDTM":
                self.say("213 20200101000000" if os.path.isfile(full) else "550 no")
            elif verb in ("PASV", "EPSV"):
                listener = socket.create_server((self.server.server_address[0], 0))
                port = listener.getsockname()[1]
                if verb == "EPSV":
                    self.say("229 Entering (|||%d|)" % port)
                else:
                    self.say("227 Entering (%s,%d,%d)" % (self.server.server_address[0].replace(".", ","), port >> 8, port & 255))
            elif verb == "REST":
                rest = int(what)
                self.say("350 from %d" % rest)
            elif verb == "RETR":
                print("ftp", what, rest, flush=True)
                self.retrieve(full, rest, listener)
                rest, listener = 0, None
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("502 no")

    def retrieve(self, full, rest, listener):
        if not os.path.isfile(full) or listener is None:
            self.say("550 no")
            return
        self.say("150 opening (%d bytes)" % os.path.getsize(full))
        data, _ = listener.accept()
        try:
            with open(full, "rb") as f, data:
                f.seek(rest)
                while True:
                    part = f.read(65536)
                    if not part:
                        break
                    data.sendall(part)
            self.say("226 done")
        except OSError:
            self.say("426 broken off")
        listener.close()


class FtpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


if __name__ == "__main__":
    FOLDER = sys.argv[4]
    web = Web((sys.argv[1], int(sys.argv[2])), Handler)
    ftp = FtpServer((sys.argv[1], int(sys.argv[3])), Ftp)
    threading.Thread(target=ftp.serve_forever, daemon=True).start()
    web.serve_forever()
