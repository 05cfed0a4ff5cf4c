#!/usr/bin/python3
"""gateway.py natpmp|pcp|upnp|dns|lsd IP: a small home router of ours for tests, at 10.78.0.1 of a namespace of its own. It prints what it is
asked for, a line each. NAT-PMP: RFC 6886; PCP: RFC 6887; UPnP: SSDP, a device description, three SOAP actions. SIGUSR1: from now on other
external ports are given. SIGUSR2 (pcp): it has another address now, and says so. dns: a name server at 10.93.0.1 where every name has that address. At port 6969 it is a tracker of nobody, which prints what is announced."""
import http.server
import re
import signal
import socket
import socketserver
import struct
import sys
import threading

IP = "10.78.0.1"
shift = [1000]
outside = ["203.0.113.9"]
held = {}

ROOT = """<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<URLBase>http://%(ip)s:5000</URLBase><device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>
<friendlyName>router</friendlyName><UDN>uuid:1</UDN><deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType>
<friendlyName>wan</friendlyName><UDN>uuid:2</UDN><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType><serviceId>urn:upnp-org:serviceId:WANCommonIFC1</serviceId>
<controlURL>/cif</controlURL><eventSubURL>/cif</eventSubURL><SCPDURL>/cif.xml</SCPDURL></service></serviceList><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><friendlyName>conn</friendlyName><UDN>uuid:3</UDN>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>
<serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><controlURL>/ctl</controlURL><eventSubURL>/ctl</eventSubURL>
<SCPDURL>/ctl.xml</SCPDURL></service></serviceList></device></deviceList></device></deviceList></device></root>""" % {"ip": IP}


class Server(socketserver.ThreadingTCPServer):      # http.server's own asks for the name of the address
    allow_reuse_address = daemon_threads = True


def say(*words):
    print(*words, flush=True)


def natpmp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((IP, 5351))
    while True:
        data, who = s.recvfrom(1100)
        if len(data) < 2 or data[0] != 0:
            s.sendto(struct.pack("!BBHI", 0, 128 + (data[1] if len(data) > 1 else 0), 1, 1), who)
        elif data[1] == 0:
            s.sendto(struct.pack("!BBHI4s", 0, 128, 0, 1, socket.inet_aton("203.0.113.9")), who)
        elif len(data) >= 12 and data[1] in (1, 2):
            own, wish, life = struct.unpack("!HHI", data[4:12])
            given = own + shift[0] if life else 0
            say("unmap" if life == 0 else "map", "UDP" if data[1] == 1 else "TCP", own, given, life)
            s.sendto(struct.pack("!BBHIHHI", 0, 128 + data[1], 0, 1, own, given, min(life, 30)), who)


def v4(ip):
    return b"\0" * 10 + b"\xff\xff" + socket.inet_aton(ip)


def pcp():
    """RFC 6887, and no NAT-PMP: what is not version 2 is told so."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((IP, 5351))
    nonces = {}
    while True:
        data, who = s.recvfrom(1100)
        if len(data) < 24 or data[0] != 2:
            s.sendto(struct.pack("!BBBBIIIII", 2, 128, 0, 1, 0, 1, 0, 0, 0), who)
            continue
        op, life = data[1], struct.unpack("!I", data[4:8])[0]
        if op != 1 or len(data) != 60 or data[8:24] != v4(who[0]):
            s.sendto(struct.pack("!BBBBIIIII", 2, 128 | op, 0, 12 if op == 1 else 4, 30, 1, 0, 0, 0), who)
            continue
        nonce, protocol = data[24:36], "UDP" if data[36] == 17 else "TCP"
        own, wish = struct.unpack("!HH", data[40:44])
        result = 2 if nonces.setdefault((protocol, own), nonce) != nonce else 0
        given = own + shift[0] if life else 0
        say("unmap" if life == 0 else "map", protocol, own, given, life, *(["with another nonce"] if result else []))
        s.sendto(struct.pack("!BBBBIIIII", 2, 129, 0, result, min(life, 600), 1, 0, 0, 0) + nonce + data[36:40] +
                 struct.pack("!HH", own, given) + v4(outside[0]), who)


def moved(*_):
    """Another address outside, told to everybody in the house."""
    outside[0] = "203.0.113.10"
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.78.0.2"))
    s.sendto(struct.pack("!BBBBIIIII", 2, 128, 0, 0, 0, 1, 0, 0, 0), ("224.0.0.1", 5350))


class Soap(http.server.BaseHTTPRequestHandler):
    def answer(self, code, body):
        data = body.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer(200, ROOT if self.path == "/root.xml" else "<scpd/>")

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode(errors="replace")
        action = self.headers.get("SOAPAction", "").strip('"').split("#")[-1]
        field = lambda name: (re.search("<%s>([^<]*)</%s>" % (name, name), text) or [None, ""])[1]
        inner = ""
        if action == "GetStatusInfo":
            inner = "<NewConnectionStatus>Connected</NewConnectionStatus><NewLastConnectionError></NewLastConnectionError><NewUptime>9</NewUptime>"
        elif action == "GetExternalIPAddress":
            inner = "<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>"
        elif action == "AddPortMapping":
            key = (field("NewProtocol"), field("NewExternalPort"))
            if key[1] == "51500":               # somebody else has it
                self.answer(500, "<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>718</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>")
                return
            held[key] = field("NewInternalPort")
            say("map", *key, held[key], field("NewLeaseDuration"), field("NewInternalClient"))
        elif action == "DeletePortMapping":
            held.pop((field("NewProtocol"), field("NewExternalPort")), None)
            say("unmap", field("NewProtocol"), field("NewExternalPort"))
        self.answer(200, '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:%sResponse '
                    'xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">%s</u:%sResponse></s:Body></s:Envelope>' % (action, inner, action))

    def log_message(self, *args):
        pass


def upnp():
    server = Server((IP, 5000), Soap)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", 1900))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.255.250") + socket.inet_aton("10.78.0.2"))
    while True:
        data, who = s.recvfrom(2000)
        st = re.search(rb"\nST: *(\S+)", data)
        if data.startswith(b"M-SEARCH") and st and b"InternetGatewayDevice:1" in st.group(1):
            s.sendto(b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nLOCATION: http://%s:5000/root.xml\r\nST: %s\r\nUSN: uuid:1::%s\r\nEXT:\r\n"
                     b"SERVER: router\r\n\r\n" % (IP.encode(), st.group(1), st.group(1)), who)


def dns():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.93.0.1", 53))
    say("ready")
    while True:
        data, who = s.recvfrom(2000)
        end = data.index(b"\0", 12) + 5
        kind = struct.unpack("!H", data[end - 4:end - 2])[0]
        say("asked", kind, who[0])
        answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton("10.93.0.1") if kind == 1 else b""
        s.sendto(data[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if answer else 0, 0, 0) + data[12:end] + answer, who)


def lsd():
    """Prints who speaks in the group of local discovery."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("239.192.152.143", 6771))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.192.152.143") + socket.inet_aton(sys.argv[2]))
    say("ready")
    while True:
        data, who = s.recvfrom(2000)
        say(who[0], *data.decode(errors="replace").split("\r\n"))


class Tracker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        port, event = re.search(r"[?&]port=(\d+)", self.path), re.search(r"[?&]event=(\w+)", self.path)
        say("announce", port and port[1], event[1] if event else "none")
        body = b"d8:intervali1800e12:min intervali900e5:peers0:e"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    if sys.argv[1] in ("dns", "lsd"):
        (dns if sys.argv[1] == "dns" else lsd)()
    threading.Thread(target=Server((IP, 6969), Tracker).serve_forever, daemon=True).start()
    signal.signal(signal.SIGUSR1, lambda *_: shift.__setitem__(0, 2000))
    say("ready")
    signal.signal(signal.SIGUSR2, moved)
    {"natpmp": natpmp, "pcp": pcp, "upnp": upnp}[sys.argv[1]]()
