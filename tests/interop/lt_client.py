#!/usr/bin/python3
"""lt_client.py seed|leech|check TORRENT|MAGNET FOLDER IP PORT tcp|utp|mse|both [PEER_IP:PORT...]: a libtorrent peer.
seed and leech stay until they are ended; leech prints 'done' when it is complete; check prints 'recheck_s SECONDS' and ends.
LT_SETTINGS: a JSON object of further settings."""
import json
import os
import sys
import time

import libtorrent as lt


def settings(ip, port, mode):
    kinds = lt.alert.category_t
    s = {
        "alert_mask": kinds.error_notification | kinds.connect_notification | kinds.tracker_notification,
        "listen_interfaces": ("[%s]:%s" if ":" in ip else "%s:%s") % (ip, port), "outgoing_interfaces": ip, "user_agent": "lt-peer",
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "allow_multiple_connections_per_ip": True, "announce_to_all_trackers": True, "connections_limit": 2000,
        "active_downloads": -1, "active_seeds": -1, "active_limit": 100000, "max_allowed_in_request_queue": 200000,
        # Hybrid: an answer for the v2 hash that comes while it connects for the v1 hash makes it hang up ("invalid info-hash"),
        # and it would come back after two minutes only.
        "min_reconnect_time": 1,
        "enable_outgoing_tcp": mode != "utp", "enable_incoming_tcp": mode != "utp",
        "enable_outgoing_utp": mode in ("utp", "both"), "enable_incoming_utp": mode in ("utp", "both"),
    }
    if mode == "mse":
        s.update(out_enc_policy=0, in_enc_policy=0, allowed_enc_level=2, prefer_rc4=True)
    else:
        s.update(out_enc_policy=2, in_enc_policy=2)
    s.update(json.loads(os.environ.get("LT_SETTINGS", "{}")))
    return s


def tell(session, started):
    """What happened to its connections, for whoever looks for the cause of a failure."""
    for alert in session.pop_alerts():
        print("%.3f %s: %s" % (time.time() - started, alert.what(), alert.message()), file=sys.stderr, flush=True)


def main(role, torrent, folder, ip, port, mode="tcp", *peers):
    session = lt.session(settings(ip, port, mode))
    started = time.time()
    if torrent.startswith("magnet:"):
        params = lt.parse_magnet_uri(torrent)
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(torrent)
    params.save_path = folder
    params.flags &= ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    handle = session.add_torrent(params)
    for peer in peers:
        host, _, peer_port = peer.rpartition(":")
        handle.connect_peer((host.strip("[]"), int(peer_port)))
    while not handle.status().is_seeding:
        tell(session, started)
        time.sleep(0.02 if role == "check" else float(os.environ.get("LT_POLL", "0.02")))
    if role == "check":
        print("recheck_s %.2f" % (time.time() - started))
        return
    if role == "leech":
        handle.flush_cache()
    print("done", flush=True)
    while True:
        time.sleep(1)


main(*sys.argv[1:])
