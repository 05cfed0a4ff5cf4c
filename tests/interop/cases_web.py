"""Web seeds and plain downloads: nginx, a server that misbehaves, FTP; every file compared."""
import hashlib
import json
import os
import shutil
import sys
import time

import clients
import payload
from lab import Skipped, need, quiet, tcp_open

HERE = os.path.dirname(os.path.abspath(__file__))
HTTP, FTP = 20080, 20021


def nginx(lab, folder):
    """nginx with `folder` at /, in the foreground, as nobody's service; its base URL."""
    program = shutil.which("nginx") or ("/usr/sbin/nginx" if os.path.exists("/usr/sbin/nginx") else None)
    if not program:
        raise Skipped("nginx is not installed")
    conf = lab.path("nginx.conf")
    kinds = "".join("%s_temp_path %s;\n" % (k, lab.path(k)) for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(conf, "w", encoding="ascii") as f:
        f.write("daemon off; master_process off; pid %s; error_log stderr;\nevents {}\nhttp { %s access_log %s; sendfile on;\n"
                "server { listen %s:%d; root %s; } }\n"
                % (lab.path("nginx.pid"), kinds, lab.path("access.log"), lab.ip(4), HTTP, folder))
    lab.start("nginx", [program, "-c", conf, "-p", lab.folder])
    lab.until("nginx listens", lambda: tcp_open(lab.ip(4), HTTP), 40)
    return "http://%s:%d/" % (lab.ip(4), HTTP)


def odd_server(lab, folder):
    """web_server.py; URL of a kind of misbehaviour, URL of FTP."""
    proc = lab.start("web", [sys.executable, os.path.join(HERE, "web_server.py"), lab.ip(5), HTTP, FTP, folder])
    lab.until("the web server listens", lambda: tcp_open(lab.ip(5), HTTP) and tcp_open(lab.ip(5), FTP), 40)
    return proc, lambda kind: "http://%s:%d/%s/" % (lab.ip(5), HTTP, kind), "ftp://%s:%d/" % (lab.ip(5), FTP)


def get(lab, *words, seconds=60, name="get"):
    """Runs kith get; (exit code, its last JSON result or error)."""
    proc = lab.run(name, [lab.options.kith, "get", *words, *quiet(), "-o", lab.path("out"), "--listen", lab.ip(3),
                          "--json", "--state", lab.path("state")], seconds)
    last = {}
    for line in proc.output().splitlines():
        event = json.loads(line)
        if event["type"] in ("result", "error"):
            last = event
    return proc.code, last


def compare(lab, target):
    wrong = payload.differences(target, os.path.join(lab.path("out"), os.path.basename(target)))
    need(not wrong, "; ".join(wrong[:5]))
    need(not [n for n in os.listdir(lab.path("out")) if n.endswith(".part")], "a .part is left")


def seed_alone(shape, version):
    """Everything comes from nginx, in every form of torrent."""
    def run(lab):
        if version != "v1" and not clients.installed("lt"):
            raise Skipped("libtorrent is not installed")
        target = payload.path_of(lab.root, shape)
        base = nginx(lab, os.path.dirname(target))
        torrent = payload.with_trackers(payload.torrent_of(lab.root, shape, version), lab.path("t.torrent"), [], {b"url-list": base.encode()})
        code, last = get(lab, torrent, "--port", "20002")
        need(code == 0, "kith get: %s %s" % (code, last))
        compare(lab, target)
        need(last["web_bytes"] == last["down_bytes"], "bytes from elsewhere: %s" % last)
        need(last["waste_bytes"] == 0, "waste: %d" % last["waste_bytes"])
    return run


def beside_peer(lab):
    """A libtorrent seed and nginx, given by --web-seed: both deliver."""
    if not clients.installed("lt"):
        raise Skipped("libtorrent is not installed")
    target = payload.path_of(lab.root, "single")
    base = nginx(lab, os.path.dirname(target))
    torrent = payload.torrent_of(lab.root, "single", "v1")
    seeder = clients.Libtorrent(lab, "seed", torrent, os.path.dirname(target), lab.ip(2), 20001)
    seeder.start()
    lab.until("the seed is ready", seeder.done)
    code, last = get(lab, torrent, "--port", "20002", "--peer", "%s:20001" % lab.ip(2), "--web-seed", base + os.path.basename(target))
    need(code == 0, "kith get: %s %s" % (code, last))
    compare(lab, target)
    lab.notes.append("%d of %d bytes from nginx" % (last["web_bytes"], last["down_bytes"]))
    need(last["web_bytes"] > 0, "nothing came from nginx")


def lying_seed(lab):
    """A server with wrong bytes beside a good one: found out, left alone, the torrent is whole."""
    target = payload.path_of(lab.root, "single")
    _, url, _ = odd_server(lab, os.path.dirname(target))
    torrent = payload.with_trackers(payload.torrent_of(lab.root, "single", "v1"), lab.path("t.torrent"), [],
                                    {b"url-list": [url("wrong").encode(), url("good").encode()]})
    code, last = get(lab, torrent, "--port", "20002")
    need(code == 0, "kith get: %s %s" % (code, last))
    compare(lab, target)
    need(last["waste_bytes"] > 0, "the liar was not asked at all")


def kinds_of_seed(kind):
    """As the only source of a torrent."""
    def run(lab):
        target = payload.path_of(lab.root, "single")
        _, url, _ = odd_server(lab, os.path.dirname(target))
        torrent = payload.with_trackers(payload.torrent_of(lab.root, "single", "v1"), lab.path("t.torrent"), [], {b"url-list": url(kind).encode()})
        code, last = get(lab, torrent, "--port", "20002", seconds=100)
        need(code == 0, "kith get: %s %s" % (code, last))
        compare(lab, target)
    return run


def ftp_seed(lab):
    target = payload.path_of(lab.root, "multi")
    _, _, ftp = odd_server(lab, os.path.dirname(target))
    torrent = payload.with_trackers(payload.torrent_of(lab.root, "multi", "v1"), lab.path("t.torrent"), [], {b"url-list": ftp.encode()})
    code, last = get(lab, torrent, "--port", "20002", seconds=100)
    need(code == 0, "kith get: %s %s" % (code, last))
    compare(lab, target)


def plain(kind, code_wanted=0):
    """kith get URL of a file, by a server of that kind."""
    def run(lab):
        target = payload.path_of(lab.root, "single")
        if kind == "nginx":
            url = nginx(lab, os.path.dirname(target))
        else:
            _, of, ftp = odd_server(lab, os.path.dirname(target))
            url = ftp if kind == "ftp" else of(kind)
        url += os.path.basename(target)
        code, last = get(lab, url, seconds=100)
        need(code == code_wanted, "kith get: %s %s" % (code, last))
        if code == 0:
            compare(lab, target)
        else:
            need(not os.path.exists(os.path.join(lab.path("out"), os.path.basename(target))), "half a file has the name of the whole")
    return run


def plain_names(lab):
    """The server's name is made safe; --name beats it; what is there is kept; --force replaces it; a checksum is believed."""
    target = payload.path_of(lab.root, "single")
    _, url, _ = odd_server(lab, os.path.dirname(target))
    source = url("named") + os.path.basename(target)
    digest = hashlib.sha256(open(target, "rb").read()).hexdigest()
    code, last = get(lab, source)
    need(code == 0, "kith get: %s %s" % (code, last))
    need(os.listdir(lab.path("out")) == ["n\u00e4me x.bin"], "names: %s" % os.listdir(lab.path("out")))
    need(get(lab, source)[0] == 10, "a file that is there must be kept")
    need(get(lab, source, "--checksum", "sha-256=" + digest)[0] == 0, "the right file is there already")
    need(get(lab, source, "--force", "--checksum", "sha-256=" + digest)[0] == 0, "--force")
    need(get(lab, source, "--name", "x", "--checksum", "sha-1=" + "0" * 40)[0] == 6, "a wrong checksum")
    need(not os.path.exists(os.path.join(lab.path("out"), "x")), "a file with a wrong checksum has its name")
    need(get(lab, source, "--name", "y")[0] == 0, "--name")
    need(payload.same(target, os.path.join(lab.path("out"), "y")), "y differs")


def plain_mirrors(lab):
    """Three mirrors, one of them dead, one of another size: the rest bring it."""
    target = payload.path_of(lab.root, "single")
    folder = lab.path("mirror")
    os.makedirs(folder)
    shutil.copy(target, os.path.join(folder, "copy"))
    with open(os.path.join(folder, "other"), "wb") as f:
        f.write(b"another file")
    base = nginx(lab, folder)
    proc, url, _ = odd_server(lab, os.path.dirname(target))
    name = os.path.basename(target)
    code, last = get(lab, url("slow") + name, base + "copy", base + "other", "http://%s:9/x" % lab.ip(4))
    need(code == 0, "kith get: %s %s" % (code, last))
    compare(lab, target)
    need("slow" in proc.output() and "copy" in open(lab.path("access.log"), encoding="utf-8").read(), "only one mirror was used")


def metalink(path, files):
    """A document of version 4: files are (name, target, piece length or 0, URLs in order of priority, torrent or None)."""
    text = ['<?xml version="1.0" encoding="UTF-8"?>\n<metalink xmlns="urn:ietf:params:xml:ns:metalink">']
    for name, target, piece_len, urls, torrent in files:
        with open(target, "rb") as f:
            data = f.read()
        text.append('<file name="%s"><size>%d</size><hash type="sha-256">%s</hash>' % (name, len(data), hashlib.sha256(data).hexdigest()))
        if piece_len:
            text.append('<pieces type="sha-1" length="%d">' % piece_len)
            text += ["<hash>%s</hash>" % hashlib.sha1(data[at:at + piece_len]).hexdigest() for at in range(0, len(data), piece_len)]
            text.append("</pieces>")
        text += ['<url priority="%d">%s</url>' % (i + 1, url) for i, url in enumerate(urls)]
        if torrent:
            text.append('<metaurl mediatype="torrent">%s</metaurl>' % torrent)
        text.append("</file>")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(text) + "</metalink>\n")


def metalink_pieces(lab):
    """Mirrors, of which one lies and one is dead, and hashes of pieces: the liar is found out and the others bring the file."""
    target = payload.path_of(lab.root, "single")
    name, doc = os.path.basename(target), lab.path("x.meta4")
    base = nginx(lab, os.path.dirname(target))
    _, url, _ = odd_server(lab, os.path.dirname(target))
    metalink(doc, [("dir/" + name, target, 300000, [url("wrong") + name, "http://%s:9/x" % lab.ip(4), base + name], None)])
    code, last = get(lab, doc)
    need(code == 0, "kith get: %s %s" % (code, last))
    compare(lab, target)
    shutil.rmtree(lab.path("out"))
    metalink(doc, [(name, target, 0, [base + name], None), ("second.bin", target, 65536, [base + name], None)])
    shutil.copy(doc, os.path.join(lab.folder, "y.meta4"))
    www = lab.start("www", [sys.executable, "-m", "http.server", "--bind", lab.ip(6), "18080", "-d", lab.folder])
    lab.until("the server listens", lambda: tcp_open(lab.ip(6), 18080))
    code, last = get(lab, "http://%s:18080/y.meta4" % lab.ip(6), name="by-url")
    need(www.alive() and code == 0, "kith get URL.meta4: %s %s" % (code, last))
    compare(lab, target)
    need(not payload.differences(target, os.path.join(lab.path("out"), "second.bin")), "the second file differs")
    code, last = get(lab, doc, name="again")
    need(code == 0, "what is there is not known: %s %s" % (code, last))


def metalink_refused(lab):
    """A mirror whose file is another one: by its size, by its hash. A torrent where there is no mirror. No document at all."""
    target = payload.path_of(lab.root, "single")
    name, doc = os.path.basename(target), lab.path("x.meta4")
    _, url, _ = odd_server(lab, os.path.dirname(target))
    metalink(doc, [(name, target, 0, [url("wrong") + name], None)])
    code, last = get(lab, doc, name="hash")
    need(code == 6 and not os.listdir(lab.path("out")), "a wrong file: %s %s" % (code, last))
    metalink(doc, [(name, target, 1 << 20, [url("wrong") + name], None)])
    code, last = get(lab, doc, name="pieces")
    need(code == 6 and "bad data" in last["message"] and not os.path.exists(os.path.join(lab.path("out"), name)), "a wrong file by pieces: %s %s" % (code, last))
    other = os.path.join(lab.folder, "other")
    with open(other, "wb") as f:
        f.write(b"short")
    metalink(doc, [(name, other, 0, [url("good") + name], None)])
    code, last = get(lab, doc, name="size")
    need(code == 6, "another size: %s %s" % (code, last))
    shutil.rmtree(lab.path("out"))
    payload.with_trackers(payload.torrent_of(lab.root, "single", "v1"), os.path.join(os.path.dirname(target), "m.torrent"), [],
                          {b"url-list": url("good").encode()})
    metalink(doc, [(name, target, 0, [], url("good") + "m.torrent")])
    code, last = get(lab, doc, "--port", "20002", name="torrent")
    need(code == 0, "by its torrent: %s %s" % (code, last))
    compare(lab, target)
    with open(doc, "w", encoding="utf-8") as f:
        f.write("<metalink/>")
    code, last = get(lab, doc, name="bad")
    need(code == 6 and "not a Metalink" in last["message"], "no document: %s %s" % (code, last))


def right_blocks(path, target):
    """Bytes of the blocks of `path` that are those of `target`."""
    with open(path, "rb") as a, open(target, "rb") as b:
        return sum(len(x) for x, y in iter(lambda: (a.read(16384), b.read(16384)), (b"", b"")) if x == y)


def plain_resume(how):
    """Ended in the middle by SIGINT or SIGKILL: goes on, and the file is right; nothing of it has the final name before."""
    def run(lab):
        target = payload.path_of(lab.root, "single")
        base = nginx(lab, os.path.dirname(target))
        url, size = base + os.path.basename(target), os.path.getsize(target)
        rate = size // 12
        proc = lab.start("half", [lab.options.kith, "get", url, *quiet(), "-o", lab.path("out"), "--listen", lab.ip(3),
                                  "--state", lab.path("state"), "--down", str(rate)])
        part = os.path.join(lab.path("out"), os.path.basename(target) + ".part")
        lab.until("some of it is there", lambda: os.path.exists(part) and os.stat(part).st_blocks * 512 > size // 12, 30)
        time.sleep(7.5 if how == "kill" else 3)        # what is synced each 5 s is safe
        need(not os.path.exists(os.path.join(lab.path("out"), os.path.basename(target))), "the name is there too early")
        if how == "kill":
            proc.kill()
        else:
            need(proc.stop() == 7, "SIGINT: %s" % proc.errors()[-200:])
        there = right_blocks(part, target)
        code, last = get(lab, url)
        need(code == 0, "kith get: %s %s" % (code, last))
        compare(lab, target)
        lab.notes.append("%d of %d bytes, %d were there" % (last["down_bytes"], size, there))
        need(last["waste_bytes"] == 0, "%d bytes came twice" % last["waste_bytes"])
        need(how == "kill" or last["down_bytes"] == size - there, "%d bytes instead of %d" % (last["down_bytes"], size - there))
        need(last["down_bytes"] < size * 9 // 10, "all of it was fetched again")
    return run


def plain_torrent(lab):
    """The URL of a torrent file is a torrent."""
    target = payload.path_of(lab.root, "single")
    folder = lab.path("www")
    os.makedirs(folder)
    base = nginx(lab, lab.folder)
    shutil.copy(target, folder)
    payload.with_trackers(payload.torrent_of(lab.root, "single", "v1"), os.path.join(folder, "t.torrent"), [],
                          {b"url-list": (base + "www/").encode()})
    code, last = get(lab, base + "www/t.torrent", "--port", "20002")
    need(code == 0, "kith get: %s %s" % (code, last))
    compare(lab, target)


def plain_missing(lab):
    """What is not there, no server, no host: the exit codes of the manual."""
    base = nginx(lab, lab.folder)
    need(get(lab, base + "nothing")[0] == 3, "404")
    need(get(lab, "http://%s:9/x" % lab.ip(4))[0] == 5, "refused")
    need(get(lab, base + "nothing", "--checksum", "crc=1")[0] == 2, "a checksum that is none")


def cases():
    out = []
    for shape, version in (("single", "v1"), ("multi", "v1"), ("multi", "v2"), ("multi", "hybrid")):
        out.append(("web/seed-nginx-%s-%s" % (shape, version), seed_alone(shape, version), 60))
    out.append(("web/seed-beside-lt", beside_peer, 60))
    out.append(("web/seed-lying", lying_seed, 60))
    out.append(("web/seed-ftp", ftp_seed, 100))
    for kind in ("noranges", "chunked", "truncate", "other", "busy", "moved", "tiny"):
        out.append(("web/seed-" + kind, kinds_of_seed(kind), 100))
    for kind in ("nginx", "good", "noranges", "nolength", "chunked", "truncate", "other", "busy", "moved", "ftp", "tiny"):
        out.append(("web/get-" + kind, plain(kind), 100))
    out.append(("web/get-loop", plain("loop", 5), 60))
    out.append(("web/get-changed", plain("changed", 5), 60))
    out += [("web/metalink", metalink_pieces, 90), ("web/metalink-refused", metalink_refused, 90)]
    out += [("web/get-names", plain_names, 60), ("web/get-mirrors", plain_mirrors, 60), ("web/get-missing", plain_missing, 60),
            ("web/get-torrent", plain_torrent, 60), ("web/get-resume-int", plain_resume("int"), 100),
            ("web/get-resume-kill", plain_resume("kill"), 100)]
    return out
