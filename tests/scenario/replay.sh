#!/bin/sh
# replay.sh KITH: real nodes on the loopback device (a seed with a blocklist, leeches by torrent file, by link, from a web server, of a URL
# alone, and two of the DHT that ask each other) record what goes into them; replayed, both say the same again. A changed byte is
# found. Without it a field failure could not be taken home.
set -eu
kith=$(realpath "$1")
work=$(mktemp -d)
trap 'for p in $seed $web $router; do kill "$p" 2>/dev/null || true; done; rm -rf "$work"' EXIT
seed='' web='' router=''
cd "$work"
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir src
head -c 3000000 /dev/urandom >src/f.bin
"$kith" create src/f.bin -o f.torrent -q >/dev/null
echo '10.9.8.0-10.9.8.255' >blocked.txt
"$kith" share src/f.bin --torrent f.torrent --listen 127.0.0.1 --port "$port" --no-utp --record seed.rec --state s1 -q --blocklist blocked.txt \
    --no-dht --no-lsd >seed.txt &
seed=$!
"$kith" get f.torrent -o out --listen 127.0.0.1 --peer "127.0.0.1:$port" --no-utp --record leech.rec --state s2 -q --timeout 60s \
    --no-dht --no-lsd >/dev/null
"$kith" get "$(grep -o 'magnet:[^ ]*' seed.txt)&x.pe=127.0.0.1:$port" -o out2 --listen 127.0.0.1 --record link.rec --state s3 -q --timeout 60s \
    --no-dht --no-lsd >/dev/null
/usr/bin/python3 -u -c 'import functools, http.server as h
s = h.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(h.SimpleHTTPRequestHandler, directory="src"))
print(s.server_port)
s.serve_forever()' >web.txt 2>/dev/null &
web=$!
while [ ! -s web.txt ]; do sleep 0.1; done
"$kith" create src/f.bin -o w.torrent --web-seed "http://127.0.0.1:$(cat web.txt)/f.bin" -q >/dev/null
"$kith" get w.torrent -o out3 --listen 127.0.0.1 --record web.rec --state s4 -q --timeout 60s --no-dht --no-lsd >/dev/null
"$kith" get "http://127.0.0.1:$(cat web.txt)/f.bin" -o out4 --listen 127.0.0.1 --record url.rec --state s5 -q --timeout 60s >/dev/null
kill "$web"
dht=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$kith" dht --listen 127.0.0.1 --port "$dht" --dht-router "127.0.0.1:$dht" --state s6 --record router.rec -q >/dev/null 2>&1 &
router=$!
target=$("$kith" dht put 'hello' --listen 127.0.0.1 --dht-router "127.0.0.1:$dht" --state s7 --timeout 30s --record put.rec -q | grep -o '[0-9a-f]\{40\}' | head -n 1)
"$kith" dht get "$target" --listen 127.0.0.1 --dht-router "127.0.0.1:$dht" --state s8 --timeout 30s --record ask.rec -q | grep -q hello
"$kith" dht announce "$target" --port 7777 --listen 127.0.0.1 --dht-router "127.0.0.1:$dht" --state s9 --timeout 30s --record tell.rec -q >/dev/null
kill -INT "$router"
wait "$router" || true
kill -INT "$seed"
wait "$seed" || true
for out in out out2 out3 out4; do
    cmp src/f.bin $out/f.bin
done
for who in seed leech link web url router put ask tell; do
    "$kith" lab replay $who.rec | tee $who.txt
    grep -q '^the same outputs$' $who.txt
done
/usr/bin/python3 -c 'd = bytearray(open("leech.rec", "rb").read()); d[len(d) // 2] ^= 1; open("bad.rec", "wb").write(d)'
# A replay that ends with jobs under way leaves its node to the end of the process: no leak, whatever a sanitizer says.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
if "$kith" lab replay bad.rec; then
    echo "a changed byte was not found"
    exit 1
fi
head -c 500000 leech.rec >cut.rec
"$kith" lab replay cut.rec | tee cut.txt        # as of a process that was killed
grep -q '^the same outputs up to where the recording ends early' cut.txt
/usr/bin/python3 -c 'd = open("leech.rec", "rb").read(); i = 14
for _ in range(20): i += 4 + int.from_bytes(d[i:i + 4], "big")
open("whole.rec", "wb").write(d[:i]); open("torn.rec", "wb").write(d[:i + 4] + b"\xff" + d[i + 5:])'
"$kith" lab replay whole.rec | tee cut.txt      # between two frames
grep -q 'ends early' cut.txt
if "$kith" lab replay torn.rec >cut.txt 2>&1 || ! grep -q 'frame 21, .*: no frame: the file is damaged' cut.txt; then
    cat cut.txt
    exit 1
fi
