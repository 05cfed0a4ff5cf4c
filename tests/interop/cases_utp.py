"""uTP: transfers over nothing else, every file compared; and both transports over IPv6."""
import os
import shutil

import clients
import payload
from cases_transfer import LEECH_PORT, SEED_PORT, compare, data_folder
from lab import Skipped


def transfer(lab, seed, leech, shape, dial="leech", kith_tcp=False, mode="utp", v6=False):
    """Both sides are kept from TCP where they can be (transmission cannot: there it is kith that has none)."""
    for kind in (seed, leech):
        if kind != "kith" and not clients.installed(kind):
            raise Skipped("%s is not installed" % clients.NAMES[kind])
    target = payload.path_of(lab.root, shape)
    torrent = payload.torrent_of(lab.root, shape, "v1")
    out = lab.path("out")
    os.makedirs(out)
    ip = lab.ip6 if v6 else lab.ip
    ends = (ip(2), SEED_PORT), (ip(3), LEECH_PORT)
    to_seed, to_leech = ((("[%s]:%d" if v6 else "%s:%d") % e,) for e in ends)
    seeder = clients.KINDS[seed](lab, "seed", torrent, data_folder(lab, seed, target), *ends[0],
                                 peers=to_leech if dial == "seed" else (), mode=mode)
    leecher = clients.KINDS[leech](lab, "leech", torrent, out, *ends[1], peers=to_seed if dial == "leech" else (), mode=mode,
                                   stay=leech != "kith")
    for who in (seeder, leecher):
        if isinstance(who, clients.Kith) and mode == "utp" and not kith_tcp:
            who.extra = ("--no-tcp",)
    seeder.start()
    if seed == "kith" or dial == "leech":
        lab.until("the seed (%s) is ready" % seed, seeder.done)
    leecher.start()
    lab.until("the leech (%s) is complete" % leech, leecher.done)
    compare(target, out, leech)
    leecher.finish()
    seeder.finish()
    shutil.rmtree(out)


def cases():
    out = []
    for seed, leech in (("kith", "kith"), ("kith", "lt"), ("lt", "kith")):
        for shape in ("single", "multi"):
            out.append(("utp/%s-to-%s/%s" % (seed, leech, shape),
                        lambda lab, a=seed, b=leech, c=shape: transfer(lab, a, b, c), 120))
    # kith tries TCP first on such addresses, is refused, and must find the other way by itself
    out.append(("utp/lt-to-kith/found-by-itself", lambda lab: transfer(lab, "lt", "kith", "single", kith_tcp=True), 60))
    out.append(("utp/kith-to-lt/seed-dials", lambda lab: transfer(lab, "kith", "lt", "single", "seed"), 120))
    out.append(("utp/kith-to-tr/seed-dials", lambda lab: transfer(lab, "kith", "tr", "single", "seed"), 150))
    out.append(("utp/tr-to-kith/single", lambda lab: transfer(lab, "tr", "kith", "single"), 150))
    for mode in ("utp", "tcp"):
        for seed, leech in (("kith", "lt"), ("lt", "kith"), ("kith", "kith")):
            out.append(("%s/ipv6/%s-to-%s" % (mode, seed, leech),
                        lambda lab, a=seed, b=leech, m=mode: transfer(lab, a, b, "single", mode=m, v6=True), 120))
    return out
