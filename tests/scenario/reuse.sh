#!/bin/sh
# reuse.sh KITH: what another torrent has brought already is not fetched again (BEP 38), in v1, v2 and hybrids, by hash and by collection;
# what only looks like it is; a private torrent's place is not remembered. Without it an episode brings the whole season a second time.
set -eu
kith=$(realpath "$1")
work=$(mktemp -d)
seed=''
trap 'for p in $seed; do kill "$p" 2>/dev/null || true; done; rm -rf "$work"' EXIT
cd "$work"
set -- --listen 127.0.0.1 --no-dht --no-lsd --no-port-map --no-utp --timeout 30s --json
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir -p src/season src/episode have
head -c 3000000 /dev/urandom >src/season/common.bin
head -c 500000 /dev/urandom >src/episode/new.bin
cp src/season/common.bin src/episode/
echo one >src/season/readme
cp -r src/season have/
figure() { grep '"type":"done"' | grep -o "\"$1\":[0-9]*" | cut -d : -f 2; }
# get FROM.torrent WHERE MOST: complete, right, and no more than MOST bytes came from the peer
get() {
    "$kith" share src/episode --torrent "$1" --listen 127.0.0.1 --port "$port" --no-dht --no-lsd --no-utp --no-port-map --state seed -q >/dev/null &
    seed=$!
    shift
    "$kith" get "$torrent" -o "$1" --peer "127.0.0.1:$port" --state st $options >got.txt
    kill -INT "$seed"
    wait "$seed" || true
    seed=''
    cmp src/episode/common.bin "$1/episode/common.bin"
    cmp src/episode/new.bin "$1/episode/new.bin"
    got=$(figure down_bytes <got.txt)
    [ "$got" -le "$2" ] && [ "$got" -ge "$3" ] || { echo "$torrent: $got bytes were fetched, wanted $3 to $2"; exit 1; }
}
options="$*"
for kind in v1 v2 hybrid; do
    rm -rf st
    "$kith" create src/season -o "season-$kind.torrent" --$kind --collection org.example.season -q >/dev/null
    hash=$("$kith" show "season-$kind.torrent" --json | grep -o '"hash_v[12]":"[0-9a-f]*' | tail -n 1 | cut -d '"' -f 4)
    "$kith" create src/episode -o "by-hash-$kind.torrent" --$kind --similar "$hash" -q >/dev/null
    "$kith" create src/episode -o "by-name-$kind.torrent" --$kind --collection org.example.season -c other -q >/dev/null
    "$kith" create src/episode -o "by-none-$kind.torrent" --$kind -q >/dev/null
    "$kith" get "season-$kind.torrent" -o have --state st "$@" >/dev/null
    for by in hash name; do
        torrent="by-$by-$kind.torrent"
        get "$torrent" "out-$by-$kind" 600000 400000
    done
    torrent="by-none-$kind.torrent"
    get "$torrent" "out-none-$kind" 4000000 3400000
done
# In v1 a small file shares its only piece with a neighbour: while that is missing nobody can say that what was copied differs.
mkdir -p src/few src/more
head -c 100 /dev/urandom >src/few/a
head -c 50000 /dev/urandom >src/more/b
cp src/few/a src/more/
cp -r src/few have/
"$kith" create src/few -o few.torrent --collection org.example.few -q >/dev/null
"$kith" create src/more -o more.torrent --collection org.example.few -q >/dev/null
"$kith" get few.torrent -o have --state st "$@" >/dev/null
"$kith" get more.torrent -o out-more --state st --listen 127.0.0.1 --no-dht --no-lsd --no-port-map --timeout 1s >said.txt 2>&1 || true
grep -q '1 file (100 B) copied' said.txt && ! grep -q 'overwritten' said.txt || { cat said.txt; exit 1; }
# Two that would write the same files: nothing is copied before that is said.
"$kith" create src/more -o other.torrent --collection org.example.few -c other --v2 -q >/dev/null
"$kith" get more.torrent other.torrent -o out-two --state st "$@" >said.txt 2>&1 && exit 1
[ ! -e out-two/more ] || { cat said.txt; exit 1; }
# As long, of the same name, and not the same any more.
head -c 3000000 /dev/urandom >have/season/common.bin
rm -rf out-hash-v1
torrent=by-hash-v1.torrent
rm -rf st
cp have/season/common.bin keep.bin
cp src/season/common.bin have/season/
"$kith" get season-v1.torrent -o have --state st "$@" >/dev/null
cp keep.bin have/season/common.bin
get "$torrent" out-hash-v1 4000000 3400000
# A private one.
"$kith" create src/season -o private.torrent --private --collection org.example.private -q >/dev/null
"$kith" create src/episode -o public.torrent --collection org.example.private -q >/dev/null
rm -rf have st
mkdir have
cp -r src/season have/
"$kith" get private.torrent -o have --state st "$@" >/dev/null
torrent=public.torrent
get "$torrent" out-public 4000000 3400000
# Thousands of files that have the same name and length, and are gone: each is missed once, not once for each file that could be it.
rm -rf st
/usr/bin/python3 -c '
import os
for torrent in "gone", "wanted":
    for i in range(3000):
        os.makedirs("%s/%d" % (torrent, i))
        with open("%s/%d/x" % (torrent, i), "w") as f:
            f.write("%s %06d" % (torrent[0], i))'
"$kith" create gone --v1 --collection org.example.gone -l 1M -q >/dev/null
"$kith" create wanted --v1 --collection org.example.gone -l 1M -q >/dev/null
"$kith" get gone.torrent -o . --state st "$@" >/dev/null
mkdir out-wanted
rm -rf gone
( ulimit -t 6; "$kith" get wanted.torrent -o out-wanted --state st "$@" --timeout 1s >/dev/null 2>&1 ) || status=$?
[ "${status:-0}" = 12 ] || { echo "$status: not that there is no peer"; exit 1; }
# A signal while a long file is copied ends that with a word, and what is half there goes.
mkdir long have-long
head -c 200M /dev/urandom >long/file.bin
"$kith" create long --v2 --collection org.example.long -q >/dev/null
"$kith" create long --v2 --collection org.example.long -c other -o again.torrent -q >/dev/null
cp -r long have-long
"$kith" get long.torrent -o have-long --state st "$@" >/dev/null
status=0
"$kith" get again.torrent -o out-long --state st "$@" >/dev/null 2>said.txt &
seed=$!
for i in $(seq 100); do
    grep -q copying said.txt && break
    sleep 0.02
done
kill -TERM "$seed"
wait "$seed" || status=$?
seed=''
[ "$status" -lt 128 ] || { echo "$status: killed while it copied"; cat said.txt; exit 1; }
echo 'nothing came twice'
