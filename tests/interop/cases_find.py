"""Finding and reaching peers: our address by the votes of others."""
import os

import clients
import payload
from cases_reach import Space
from lab import Skipped, need


def lt_in(lab, space, role, torrent, folder, ip, port, mode="both", peers=(), name="lt", **settings):
    """A libtorrent peer in a namespace."""
    import json
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
        get = lab.run("get", space.cmd(lab.options.kith, "get", torrent, "-v", "--no-dht", "--no-port-map", "-o", lab.path("out%d" % n),
                                       "--listen", "45.9.0.1", "--port", "20002", "--state", lab.path("state%d" % n), "--down", "4M", *peers))
        need(get.code == 0, "kith get: " + get.errors()[-300:])
        said = "our address, as others see it, is 45.9.0.1" in get.errors()
        need(said == word, "%d peers: %s" % (n, get.errors()[-300:]))


def cases():
    return [("find/votes", votes, 90)]
