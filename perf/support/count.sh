#!/bin/bash
# Sourced: exact counts of one call, by running it under callgrind twice. Wants $build (the build
# tree) and $scratch (a folder that is thrown away).
# shellcheck shell=bash
# shellcheck disable=SC2154 # build and scratch come from whoever sources this

support=${BASH_SOURCE[0]%/*}
shorter=1000
longer=3000

# callgrind OUT PROGRAM ARGUMENT...: what the program prints, and its profile in OUT. glibc takes its
# plain memset and memcpy, so that the counts are the same on every CPU.
callgrind() {
    GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-ERMS valgrind --quiet --tool=callgrind --dump-instr=yes --compress-strings=no --compress-pos=no \
        --callgrind-out-file="$1" "${@:2}"
}

# steps_of PROGRAM SHAPE: every executed instruction of one call, in $scratch/SHAPE.steps; the
# allocations that all calls of the longer run made, in $scratch/SHAPE.allocations.
steps_of() {
    local program=$1 shape=$2
    callgrind "$scratch/$shape.short" "$program" "$shape" "$shorter" >"$scratch/$shape.ignored"
    callgrind "$scratch/$shape.long" "$program" "$shape" "$longer" >"$scratch/$shape.allocations"
    awk -v calls=$((longer - shorter)) -v skip="$(readlink -f "$program")" \
        -f "$support/difference.awk" "$scratch/$shape.short" "$scratch/$shape.long" \
        >"$scratch/$shape.steps"
}

# locked_of OBJECT: addresses of its locked instructions; disassembled once.
locked_of() {
    local list=$scratch/locked${1//\//_}
    [ -e "$list" ] ||
        objdump -d --no-show-raw-insn "$1" | awk -f "$support/locked.awk" >"$list" || return 1
    cat "$list"
}

# locked_steps SHAPE: the executed instructions of its steps that are locked.
locked_steps() {
    local object
    cut -f1 "$scratch/$1.steps" | sort -u | while read -r object; do
        locked_of "$object" | awk -v object="$object" -v OFS='\t' '{ print object, $1 }'
    done | awk -F'\t' 'FNR == NR { locked[$1 FS $2]; next } ($1 FS $2) in locked' \
        - "$scratch/$1.steps"
}

# sum_of: the counts of the steps on standard input.
sum_of() {
    awk -F'\t' '{ sum += $3 } END { printf "%.1f\n", sum }'
}

# print_profile SHAPE: instructions and locked operations of one call, by function and by line.
print_profile() {
    local steps=$scratch/$1.steps
    printf 'instructions per call by function\n'
    awk -F'\t' '{ sum[$4] += $3 } END { for (k in sum) printf "%9.2f  %s\n", sum[k], k }' "$steps" |
        sort -rn
    printf '\ninstructions per call by source line, the first 60\n'
    awk -F'\t' '{ n = split($5, part, "/"); sum[part[n] "  " $4] += $3 }
        END { for (k in sum) printf "%9.2f  %s\n", sum[k], k }' "$steps" | sort -rn | sed -n 1,60p
    printf '\nlocked operations per call\n'
    locked_steps "$1" | awk -F'\t' '{ n = split($5, part, "/"); printf "%9.2f  %-28s %s\n", $3, part[n], $4 }'
}
