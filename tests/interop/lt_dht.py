#!/usr/bin/python3
"""lt_dht.py IP PORT ROUTER_IP:PORT|- COMMAND [ARGUMENT...]: a libtorrent DHT node with one question; answers are lines on stdout.
serve | peers HASH | announce HASH | put TEXT | get TARGET | putm TEXT SALT | getm KEY SALT. All but serve end after the answer;
announce prints 'announced' and stays, serve prints 'nodes N' now and then."""
import sys
import time

import libtorrent as lt

# The key pair of BEP 44's test vectors.
PUBLIC = bytes.fromhex("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")
PRIVATE = bytes.fromhex("e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74db7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d")


def session_at(ip, port, router):
    s = lt.session({
        "listen_interfaces": "%s:%s" % (ip, port), "outgoing_interfaces": ip, "enable_dht": True, "enable_lsd": False,
        "enable_upnp": False, "enable_natpmp": False, "dht_bootstrap_nodes": "" if router == "-" else router,
        "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False, "dht_prefer_verified_node_ids": False,
        "dht_enforce_node_id": False, "dht_ignore_dark_internet": False, "dht_upload_rate_limit": 10000000,
        "dht_block_ratelimit": 100000, "allow_multiple_connections_per_ip": True,
        "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.dht_operation_notification |
        lt.alert.category_t.status_notification})
    if router != "-":
        host, _, number = router.rpartition(":")
        s.add_dht_node((host, int(number)))
    return s


def nodes_of(s):
    return s.status().dht_nodes


def answers(s, kind):
    """Alerts of a kind, as they come; None each 0.2 s without one."""
    while True:
        s.wait_for_alert(200)
        found = [a for a in s.pop_alerts() if isinstance(a, kind)]
        yield from found
        if not found:
            yield None


def ask_again(s, kind, ask, good, seconds=20):
    """Asks each 2 s until an answer is good."""
    end = time.time() + seconds
    asked = 0
    for a in answers(s, kind):
        if a is not None and good(a):
            return a
        if time.time() > end:
            return None
        if time.time() - asked > 2:
            asked = time.time()
            ask()
    return None


def main(ip, port, router, command, *args):
    s = session_at(ip, port, router)
    end = time.time() + 20
    while nodes_of(s) == 0 and router != "-" and time.time() < end:
        time.sleep(0.05)
    if command == "serve":
        while True:
            print("nodes", nodes_of(s), flush=True)
            time.sleep(0.2)
    elif command == "peers":
        h = lt.sha1_hash(bytes.fromhex(args[0]))
        a = ask_again(s, lt.dht_get_peers_reply_alert, lambda: s.dht_get_peers(h), lambda a: a.num_peers() > 0)
        for peer in a.peers() if a else []:
            print("%s:%d" % tuple(peer), flush=True)
    elif command == "announce":
        p = lt.add_torrent_params()
        p.info_hash = lt.sha1_hash(bytes.fromhex(args[0]))
        p.save_path = "."
        p.flags &= ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
        s.add_torrent(p)
        time.sleep(3)
        print("announced", flush=True)
        time.sleep(60)
    elif command == "put":
        target = []
        a = ask_again(s, lt.dht_put_alert, lambda: target.append(s.dht_put_immutable_item(args[0])), lambda a: a.num_success > 0)
        print("%s" % target[-1] if a else "failed", flush=True)
    elif command == "get":
        h = lt.sha1_hash(bytes.fromhex(args[0]))
        a = ask_again(s, lt.dht_immutable_item_alert, lambda: s.dht_get_immutable_item(h), lambda a: True)
        print(a.item if a else "failed", flush=True)
    elif command == "putm":
        a = ask_again(s, lt.dht_put_alert, lambda: s.dht_put_mutable_item(PRIVATE, PUBLIC, args[0].encode(), args[1].encode()),
                      lambda a: a.num_success > 0)
        print(PUBLIC.hex() if a else "failed", flush=True)
    elif command == "getm":
        a = ask_again(s, lt.dht_mutable_item_alert, lambda: s.dht_get_mutable_item(bytes.fromhex(args[0]), args[1].encode()),
                      lambda a: a.item is not None)
        print(a.item if a else "failed", flush=True)


main(*sys.argv[1:])
