#!/bin/sh
# Compares a weir binary with the reference simulator on random input.
#   compare.sh WEIR_BINARY N [FIRST_SEED]
# Prints the first difference with its configuration and script, and ends with 1; 0 if all N agree.
# The reference may be run anywhere: nothing is written but a temporary folder.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: $0 WEIR_BINARY N [FIRST_SEED]" >&2
    exit 2
fi
weir=$1
count=$2
first=${3:-1}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM

seed=$first
end=$((first + count))
while [ "$seed" -lt "$end" ]; do
    batch=$((end - seed))
    [ "$batch" -le 250 ] || batch=250
    python3 "$here/reference.py" --random-many "$seed" "$batch" "$folder"
    last=$((seed + batch))
    while [ "$seed" -lt "$last" ]; do
        stem=$folder/$seed
        status=0
        "$weir" sim "$stem.yaml" "$stem.sim" >"$stem.out" 2>"$stem.err" || status=$?
        if [ "$status" -ne 0 ] || ! cmp -s "$stem.csv" "$stem.out"; then
            echo "seed $seed: different (exit status $status)"
            echo "--- configuration"
            cat "$stem.yaml"
            echo "--- script"
            cat -n "$stem.sim"
            echo "--- messages"
            cat "$stem.err"
            echo "--- first differing row: reference (<), weir (>)"
            head -n 1 "$stem.csv"
            diff "$stem.csv" "$stem.out" | head -n 12 || true
            exit 1
        fi
        rm -f "$stem.yaml" "$stem.sim" "$stem.csv" "$stem.out" "$stem.err"
        seed=$((seed + 1))
    done
done
echo "$count random scripts from seed $first on: all agree"
