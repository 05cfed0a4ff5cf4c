#!/bin/sh
# determinism.sh SOURCE BUILD SIMHASH: the same seeds must give the same traces with gcc and clang, without and with optimisation,
# with other memory under them and twice in a row. Builds what is missing below BUILD/determinism.
set -eu
source=$1 build=$2 simhash=$3
unset KITH_SEED
work=$build/determinism
mkdir -p "$work"
"$simhash" >"$work/reference" || { echo "simhash failed"; exit 1; }
grep -q '^trace-hash ' "$work/reference"
cat "$work/reference"
status=0

same() {
    if cmp -s "$work/reference" "$work/$1"; then
        echo "same: $1"
    else
        echo "DIFFERENT: $1"
        diff "$work/reference" "$work/$1" || true
        status=1
    fi
}

MALLOC_PERTURB_=170 "$simhash" >"$work/perturbed"
same perturbed
if command -v setarch >/dev/null && setarch -R true 2>/dev/null; then
    setarch -R "$simhash" >"$work/no-aslr"
    same no-aslr
fi
for cc in gcc clang; do
    command -v $cc >/dev/null || { echo "no $cc: not compared"; continue; }
    for opt in 0 2; do
        dir=$work/$cc-O$opt
        if [ ! -f "$dir/build.ninja" ]; then
            rm -rf "$dir"
            CC=$cc meson setup "$dir" "$source" -Doptimization=$opt -Ddebug=false >"$dir.log" 2>&1 </dev/null ||
                { cat "$dir.log"; exit 1; }
        fi
        ninja -C "$dir" tests/scenario/simhash >"$dir.log" 2>&1 </dev/null || { tail -20 "$dir.log"; exit 1; }
        "$dir/tests/scenario/simhash" >"$work/$cc-O$opt.hash"
        same $cc-O$opt.hash
    done
done
exit $status
