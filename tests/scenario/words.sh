#!/bin/sh
# words.sh KITH: what is said to people is true. Without it gates held over nodes that never completed, and a hint did not lead to its item.
set -eu
kith=$(realpath "$1")
work=$(mktemp -d)
pids=''
trap 'for p in $pids; do kill "$p" 2>/dev/null || true; done; rm -rf "$work"' EXIT
cd "$work"
# says STATUS TEXT COMMAND...: it ends with that status and says that
says() {
    status=$1 text=$2 got=0
    shift 2
    timeout 60 "$@" >said 2>&1 || got=$?
    [ "$got" = "$status" ] && grep -qF -- "$text" said || { echo "$*: $got, wanted $status and: $text"; cat said; exit 1; }
}
not() { ! grep -qF -- "$1" said || { echo "said: $1"; cat said; exit 1; }; }
port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# The laboratory: nobody can find the seed.
printf 'content c0 size=1MiB piece=32KiB\nnode s0 has=c0\nnode p0 want=c0\nworld end=1m\n' >lost.scn
{ cat lost.scn; echo 'gate own p0.max <= 4m'; } >max.scn
says 1 'MISSED p0.max: 0 of 1 complete' "$kith" lab run max.scn
{ cat lost.scn; echo 'gate own p0.waste <= 1%'; } >waste.scn
says 0 'holds  p0.waste' "$kith" lab run waste.scn
{ cat lost.scn; echo 'gate E99.x p0.max'; } >row.scn
says 2 'row.scn:5: no published row E99.x' "$kith" lab run row.scn
says 3 'cannot open none' "$kith" lab fuzz --corpus none
says 2 '--runs 0: write a number from 1 to' "$kith" lab fuzz --runs 0
says 2 '--seeds 0: write a number from 1 to' "$kith" lab churn --seeds 0
printf 'content c0 size=1MiB piece=32KiB\nnode s0 has=c0 up=1Mbit up=2Mbit\n' >twice.scn
says 2 'twice.scn:2: up= is there twice' "$kith" lab run twice.scn
{ cat lost.scn; echo 'at 1s fault loss p=1% node=p0 p=2%'; } >twice.scn
says 2 'twice.scn:5: p= is there twice' "$kith" lab run twice.scn
printf 'seed 1\nseed 2\nnode a\n' >twice.scn
says 2 'twice.scn:2: the seed is there already, in line 1' "$kith" lab run twice.scn
echo 'swarm x' >corpus
says 2 'corpus:1: write `CLASS SEED`' "$kith" lab fuzz --corpus corpus
says 2 'lost.scn: no recording, or of another version' "$kith" lab replay lost.scn
not 'frames over'
says 0 'seed 0, ' "$kith" lab run lost.scn --seed 0
says 1 'does not fail, gates aside' "$kith" lab shrink max.scn
says 2 '--budget 0s: write a time' "$kith" lab fuzz --budget 0s
says 2 '--quick is no option of run' "$kith" lab run lost.scn --quick
says 2 '--seed is no option of order' "$kith" lab order --quick --seed 2
says 2 'usage: kith lab order' "$kith" lab order twice
says 8 'cannot write none/such/dht.tsv' "$kith" lab dht --quick --out none/such

# Sharing without a tracker: the DHT tells where we are, if it is on.
head -c 100000 /dev/urandom >f.bin
"$kith" create f.bin --private -o private.torrent -q >/dev/null
at=$(port)
set -- --listen 127.0.0.1 --no-port-map --seed-idle 1s --state st
says 0 'no tracker, no DHT: peers must be told' "$kith" share f.bin "$@" --no-dht --no-lsd
says 0 'no tracker, no DHT: peers outside this network must be told' "$kith" share f.bin "$@" --no-dht
says 0 'seeding on port' "$kith" share f.bin "$@" --dht-router "127.0.0.1:$at" --no-lsd
not 'must be told'
says 0 'no tracker: peers must be told' "$kith" share f.bin --torrent private.torrent "$@" --dht-router "127.0.0.1:$at"

# An item with a salt is not found without it.
"$kith" dht --listen 127.0.0.1 --port "$at" --state node -q &
pids="$pids $!"
set -- --listen 127.0.0.2 --dht-router "127.0.0.1:$at" --state ask
says 0 '` finds it' "$kith" dht put hello --key key "$@"
says 0 '` with the same --salt finds it' "$kith" dht put hello --key key --salt s "$@"
says 2 'cannot use f.bin: it is no secret key' "$kith" dht put hello --key f.bin "$@"
says 2 '--item-seq: not a number from 0 to' "$kith" dht put hello --key key --item-seq 9223372036854775808 "$@"
says 0 '` finds it' "$kith" dht put hello --key key --item-seq 9223372036854775807 "$@"
says 2 'the highest number there is' "$kith" dht put bye --key key "$@"

# Who keeps telling the DHT goes on when that is gone for a while, and says so. Ctrl-C is how it ends, not a failure.
there=$(port)
"$kith" dht --listen 127.0.0.1 --port "$there" --state node2 -q &
router=$!
"$kith" dht put hello --keep 1s --timeout 1s --listen 127.0.0.2 --dht-router "127.0.0.1:$there" --state keep >kept.txt 2>&1 &
keeper=$!
pids="$pids $router $keeper"
for i in 1 2 3 4 5 6 7 8 9; do grep -q 'for as long as this runs' kept.txt && break; sleep 1; done
kill -9 "$router"
for i in 1 2 3 4 5 6 7 8 9; do grep -q 'it is told again' kept.txt && break; sleep 1; done
kill -0 "$keeper" && grep -q 'it is told again' kept.txt || { cat kept.txt; exit 1; }
"$kith" dht --listen 127.0.0.1 --port "$there" --state node2 -q &
pids="$pids $!"
: >kept.txt
for i in $(seq 60); do grep -q 'for as long as this runs' kept.txt && break; sleep 1; done
kill -INT "$keeper"
got=0
wait "$keeper" || got=$?
[ "$got" = 0 ] && grep -q 'for as long as this runs' kept.txt || { echo "$got"; cat kept.txt; exit 1; }

# A stranger's item does not steer the terminal; whoever reads it from a pipe gets every byte.
value=$(printf 'two\nlines \033[31m')
item=$("$kith" dht put "$value" "$@" 2>err)
[ "$("$kith" dht get "$item" "$@" 2>err)" = "$value" ] || { echo "the item has changed"; exit 1; }
says 0 'lines ' /usr/bin/python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))' "$kith" dht get "$item" "$@" --no-color
not "$(printf '\033[31m')"
[ "$(grep -c '^two\|^lines ' said)" = 2 ] || { cat said; exit 1; }

# A recording takes the place of an older one, not of anything else.
says 10 '--record f.bin: there is a file that is no recording' "$kith" dht peers x --record f.bin
says 8 'cannot write none/rec: No such file or directory' "$kith" dht peers x --record none/rec
for i in 1 2; do says 2 'x: no info-hash' "$kith" dht peers x --record rec; done

# A peer that the user names and blocks.
"$kith" create f.bin -o f.torrent -q >/dev/null
echo '127.0.0.9 - 127.0.0.9' >blocked.txt
says 12 '--peer 127.0.0.9:7 is in the blocklist: it is left out' "$kith" get f.torrent -o out --listen 127.0.0.1 --no-port-map --no-dht --no-lsd \
    --timeout 1s --state get --blocklist blocked.txt --peer 127.0.0.9:7 --peer 127.0.0.8:7
not '127.0.0.8:7 is in'

# A proxy that is not there, and one that does not let us in.
set -- --listen 127.0.0.1 --no-port-map --no-dht --no-lsd --no-utp --timeout 2s --peer "127.0.0.1:$(port)" --state get
gone=$(port)
says 12 "the proxy 127.0.0.1:$gone does not serve us (refused)" "$kith" get f.torrent -o out --proxy "socks5://127.0.0.1:$gone" "$@"
says 12 "the proxy 127.0.0.1:$gone does not serve us (refused)" "$kith" get 'magnet:?xt=urn:btih:0123456789012345678901234567890123456789' -o out \
    --proxy "socks5://127.0.0.1:$gone" --listen 127.0.0.1 --no-port-map --no-lsd --dht-router "127.0.0.1:$at" --timeout 2s --state get2
/usr/bin/python3 -u -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])
while True:
    c = s.accept()[0]
    c.recv(3)
    c.sendall(b"\5\xff")' >proxy.txt &
pids="$pids $!"
while [ ! -s proxy.txt ]; do sleep 0.1; done
says 12 "the proxy 127.0.0.1:$(cat proxy.txt) does not serve us" "$kith" get f.torrent -o out --proxy "socks5://127.0.0.1:$(cat proxy.txt)" "$@"
# The same for a file by its URL: the proxy is named, its password is not. What it says of the server is not its own fault.
says 5 "the proxy 127.0.0.1:$gone cannot be reached" "$kith" get http://192.0.2.1/a --proxy "socks5://me:secret@127.0.0.1:$gone" --state get3
not secret
says 5 "the proxy [::1]:1080 cannot be reached" "$kith" get http://192.0.2.1/a --proxy 'socks5://[::1]' --state get3
says 5 "the proxy 127.0.0.1:$(cat proxy.txt) cannot be reached or does not let us in" "$kith" get http://192.0.2.1/a \
    --proxy "socks5://127.0.0.1:$(cat proxy.txt)" --state get3
/usr/bin/python3 -u -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])
while True:
    c = s.accept()[0]
    c.recv(16)
    c.sendall(b"\5\0")
    c.recv(10)
    c.sendall(b"\5\5\0\1\0\0\0\0\0\0")' >refuses.txt &
pids="$pids $!"
while [ ! -s refuses.txt ]; do sleep 0.1; done
says 5 'http://192.0.2.1/a: refused' "$kith" get http://192.0.2.1/a --proxy "socks5://127.0.0.1:$(cat refuses.txt)" --state get3
# A name without an address, by the system's resolver and by ours: not a file that the server has not.
says 5 'http://no-such-name.invalid/a: unreachable: no address for its name' "$kith" get http://no-such-name.invalid/a --state get3
says 5 'http://no-such-name.invalid/a: unreachable: no address for its name' "$kith" get http://no-such-name.invalid/a --state get3 --interface lo
says 5 'unreachable: no address for its name, or no network' "$kith" get http://127.0.0.1/a --state get3 --interface nosuch
says 5 'the proxy no-such-name.invalid: no ' "$kith" get f.torrent -o out --state get3 --no-dht --no-lsd --no-port-map --listen 127.0.0.1 \
    --proxy socks5://no-such-name.invalid
says 0 'port 1080 if none is said' "$kith" help get
# What a torrent says of others (BEP 38), and of its successors (BEP 39).
hash=$("$kith" show f.torrent --json | grep -o '"hash_v1":"[0-9a-f]*' | cut -d '"' -f 4)
"$kith" create f.bin -o hints.torrent --similar "$hash" --collection org.example.f -q >/dev/null
says 0 "similar    $hash" "$kith" show hints.torrent
says 0 'collection org.example.f' "$kith" show hints.torrent
says 2 '--collection has no name' "$kith" create f.bin -o no.torrent --collection ''
says 2 '--similar abc: not 40 or 64 hex digits' "$kith" create f.bin -o no.torrent --similar abc
printf 'd11:collectionsl3:oneoute4:infod11:collectionsl3:one3:twoe6:lengthi5e4:name1:f10:originator1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa10:update-url15:http://u.test/ee' |
    sed 's/l3:oneoute/l3:one3:oute/; s/15:http/14:http/' >update.torrent
says 0 '"collections":["one","two","out"]' "$kith" show update.torrent --json
says 0 'update-url http://u.test/' "$kith" show update.torrent
says 0 'kith does not follow them' "$kith" show update.torrent
echo 'all is true'
