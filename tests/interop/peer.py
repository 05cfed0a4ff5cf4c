"""A small BitTorrent peer of our own: asks, listens, lies, and writes down what it was told and when."""
import hashlib
import os
import random
import socket
import struct
import time

import bencode
import payload

CHOKE, UNCHOKE, INTERESTED, UNINTERESTED, HAVE, BITFIELD, REQUEST, PIECE, CANCEL = range(9)
SUGGEST, HAVE_ALL, HAVE_NONE, REJECT, ALLOWED_FAST = 13, 14, 15, 16, 17
BLOCK = 16384


class Peer:
    def __init__(self, address, info_hash, source=None, fast=False, timeout=10, dht=False):
        self.s = socket.create_connection(address, timeout, (source, 0) if source else None)
        self.s.settimeout(timeout)
        self.rest = b""
        self.have = {}                  # piece -> when it was told
        self.choked = True
        reserved = bytes(7) + bytes([(4 if fast else 0) | (1 if dht else 0)])
        self.peer_id = b"-XX0000-" + random.randbytes(6).hex().encode()
        self.s.sendall(b"\x13BitTorrent protocol" + reserved + info_hash + self.peer_id)

    def close(self):
        self.s.close()

    def take(self, n):
        while len(self.rest) < n:
            got = self.s.recv(1 << 16)
            if not got:
                raise ConnectionError("closed")
            self.rest += got
        out, self.rest = self.rest[:n], self.rest[n:]
        return out

    def shake(self):
        """Their handshake: reserved bytes, info-hash, peer id."""
        b = self.take(68)
        if b[:20] != b"\x13BitTorrent protocol":
            raise ConnectionError("no handshake")
        return b[20:28], b[28:48], b[48:68]

    def send(self, kind, body=b""):
        self.s.sendall(struct.pack(">IB", 1 + len(body), kind) + body)

    def receive(self):
        """The next message as (kind, body); (None, b"") for a keep-alive. HAVEs and chokes are noted."""
        n = struct.unpack(">I", self.take(4))[0]
        if n == 0:
            return None, b""
        if n > 1 << 20:
            raise ConnectionError("a message of %d bytes" % n)
        b = self.take(n)
        kind, body = b[0], b[1:]
        now = time.monotonic()
        if kind == HAVE:
            self.have.setdefault(struct.unpack(">I", body)[0], now)
        elif kind == BITFIELD:
            for i in range(8 * len(body)):
                if body[i // 8] >> 7 - i % 8 & 1:
                    self.have.setdefault(i, now)
        elif kind in (CHOKE, UNCHOKE):
            self.choked = kind == CHOKE
        return kind, body

    def listen(self, seconds):
        """Reads for so long, or until the other side closes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.s.settimeout(max(0.01, end - time.monotonic()))
            try:
                self.receive()
            except socket.timeout:
                return True
            except OSError:
                return False
        return True

    def piece(self, index, length):
        """One piece, asked for block by block, all at once."""
        self.send(INTERESTED)
        while self.choked:
            self.receive()
        blocks = range(0, length, BLOCK)
        for begin in blocks:
            self.send(REQUEST, struct.pack(">III", index, begin, min(BLOCK, length - begin)))
        got = {}
        while len(got) < len(blocks):
            kind, body = self.receive()
            if kind == PIECE and struct.unpack(">I", body[:4])[0] == index:
                got[struct.unpack(">I", body[4:8])[0]] = body[8:]
        return b"".join(got[b] for b in blocks)


class Content:
    """A v1 torrent as the mini peer sees it: piece hashes, and pieces read from a folder."""

    def __init__(self, torrent):
        self.info = bencode.decode(open(torrent, "rb").read())[b"info"]
        self.hash = payload.info_hashes(torrent)[0]
        self.piece_length = self.info[b"piece length"]
        self.files = [(os.path.join(*[c.decode() for c in f[b"path"]]), f[b"length"]) for f in self.info.get(b"files", [])]
        self.name = self.info[b"name"].decode()
        if not self.files:
            self.files = [("", self.info[b"length"])]
        self.total = sum(n for _, n in self.files)
        self.pieces = len(self.info[b"pieces"]) // 20

    def size(self, index):
        return min(self.piece_length, self.total - index * self.piece_length)

    def good(self, index, data):
        return hashlib.sha1(data).digest() == self.info[b"pieces"][20 * index:20 * index + 20]

    def on_disk(self, folder, index):
        """Is this piece in the files under `folder`, as it should be?"""
        start, left, at, data = index * self.piece_length, self.size(index), 0, b""
        for path, length in self.files:
            if at + length > start and left > 0:
                full = os.path.join(folder, self.name, path) if path else os.path.join(folder, self.name)
                n = min(left, at + length - start)
                try:
                    with open(full, "rb") as f:
                        f.seek(start - at)
                        part = f.read(n)
                except OSError:
                    return False
                if len(part) != n:
                    return False
                data += part
                start += n
                left -= n
            at += length
        return self.good(index, data)
