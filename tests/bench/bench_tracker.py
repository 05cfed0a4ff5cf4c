"""The tracker of the benchmark: it sees when a leech starts and when it is complete, and takes the readings right then.
It knows peers by the port they announce, and hands a leech only the peers of the present run."""
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse


class Entry:
    """One peer of a run. on_start and on_done are called on the tracker's thread, before the answer goes out."""

    def __init__(self, ip, port, seed, on_start=None, on_done=None):
        self.ip, self.port, self.seed = ip, port, seed
        self.active = not seed
        self.on_start, self.on_done = on_start, on_done
        self.seeding = self.started = self.completed = None


class Tracker:
    def __init__(self, ip, port):
        self.entries = {}
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                query = dict(kv.split("=", 1) for kv in urlparse(self.path).query.split("&") if "=" in kv)
                body = outer.announce(int(query.get("port", 0)), query.get("event", ""), int(query.get("left", 1)))
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "text/plain")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass                # it has ended without waiting for the answer

        self.url = "http://%s:%d/announce" % (ip, port)
        server = ThreadingHTTPServer((ip, port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def announce(self, port, event, left):
        now = time.time()
        out = b""
        with self.lock:
            me = self.entries.get(port)
            if me and left == 0 and me.seeding is None:
                me.seeding = now
            if me and left > 0 and me.started is None:
                me.on_start and me.on_start(me)
                me.started = time.time()
            if me and (event == "completed" or (left == 0 and me.started)) and me.completed is None and not me.seed:
                me.on_done and me.on_done(me)
                me.completed = now
            if me and not me.seed:
                for other in self.entries.values():
                    if other is not me and other.active and (other.seeding or other.started):
                        out += socket.inet_aton(other.ip) + other.port.to_bytes(2, "big")
        return b"d8:completei1e10:incompletei1e8:intervali60e12:min intervali30e5:peers%d:%se" % (len(out), out)
