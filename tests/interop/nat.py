"""Two homes behind NAT boxes and a public host, made of network namespaces and nftables.

  a 10.1.0.2 -- box 198.51.100.10 -+- core 198.51.100.1 -+- box 198.51.100.20 -- b 10.2.0.2

The kinds in the words of RFC 4787: mapping, filtering. All keep the source port, but for symmetric (a random one each time) and
shifted (always 7000 more: where a host listens leads nowhere)."""
import shutil

from cases_reach import Space, link, sysctl
from lab import Failed, Skipped

IDLE_S = 120
CORE = "198.51.100.1"
HOSTS = {"a": "10.1.0.2", "b": "10.2.0.2"}
WAN = {"a": "198.51.100.10", "b": "198.51.100.20"}
SHIFT = 7000


def rules(kind, inner, port):
    """The rules of one box. Unsolicited packets are dropped: they must not make conntrack entries that stand in the way."""
    back, to = "", "masquerade"
    if kind == "symmetric":             # APDM, APDF
        to = "masquerade fully-random"
    elif kind == "shifted":             # EIM, APDF
        to = "masquerade to :%d" % (port + SHIFT)
    elif kind == "address":             # EIM, ADF: who was sent to may answer from any port
        back = "iifname wan meta l4proto udp ip saddr . udp dport @spoken dnat ip to udp dport map @owner"
    elif kind != "port":                # EIM, APDF
        raise Failed("no such NAT: " + kind)
    return """
table ip nat {
    map owner { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout %(idle)ds; size 65535; }
    set spoken { type ipv4_addr . inet_service; flags dynamic,timeout; timeout %(idle)ds; size 65535; }
    chain pre { type nat hook prerouting priority dstnat; %(back)s; }
    chain learn {
        type filter hook postrouting priority 50;
        oifname wan ip saddr %(inner)s meta l4proto udp update @owner { udp sport : ip saddr . udp sport }
        oifname wan ip saddr %(inner)s meta l4proto udp update @spoken { ip daddr . udp sport }
    }
    chain post {
        type nat hook postrouting priority srcnat;
        oifname wan meta l4proto udp %(to)s
        oifname wan masquerade
    }
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname { lan, lo } accept
    }
}
""" % {"idle": IDLE_S, "back": back, "inner": inner, "to": to}


class Homes:
    """The spaces `a`, `b` and `core`; port: that the host behind each box uses for UDP."""

    def __init__(self, lab, kind_a, kind_b, port):
        if not shutil.which("nft"):
            raise Skipped("no nft")
        self.lab = lab
        self.core = Space(lab, "core", ("ip link add br0 type bridge", "ip link set br0 up", "ip addr add %s/24 dev br0" % CORE))
        self.a, self.b = self.home("a", kind_a, port), self.home("b", kind_b, port)

    def home(self, name, kind, port):
        box, host = Space(self.lab, "box-" + name, ()), Space(self.lab, name, ())
        for space in (box, host):
            sysctl(space, "ipv6/conf/all/disable_ipv6", 1)
        net = HOSTS[name].rsplit(".", 1)[0]
        link(host, "eth0", HOSTS[name], box, "lan", net + ".1")
        host.do("ip route add default via %s.1" % net)
        box.do("ip link add wan type veth peer name to-%s netns %d" % (name, self.core.holder.pid))
        box.do("ip addr add %s/24 dev wan && ip link set wan up" % WAN[name])
        self.core.do("ip link set to-%s up && ip link set to-%s master br0" % (name, name))
        sysctl(box, "ipv4/ip_forward", 1)
        path = self.lab.path("nft-" + name)
        with open(path, "w", encoding="ascii") as f:
            f.write(rules(kind, HOSTS[name], port))
        try:
            box.do("nft -f '%s'" % path)
        except Failed as e:
            raise Skipped("no nftables NAT here: %s" % e)
        for key in ("udp_timeout", "udp_timeout_stream"):
            sysctl(box, "netfilter/nf_conntrack_" + key, IDLE_S)
        return host
