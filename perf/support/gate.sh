#!/bin/bash
# Sourced: recorded counts that may only fall. A gate file has `compiler NAME` and `libc NAME`, then
# one `SHAPE INSTRUCTIONS` a line. Counts depend on the compiler: with another one than the
# recorded they are shown and not compared.
# shellcheck shell=bash

tolerance=1.005

# at_most A B: decimal numbers.
at_most() {
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }'
}

percent() { # percent PART WHOLE
    awk -v part="$1" -v whole="$2" 'BEGIN { printf "%.1f\n", 100 * part / whole }'
}

gate_begin() { # gate_begin FILE BUILD_TREE
    local cc
    gate_file=$1
    gate_broken=no
    cc=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$2/CMakeCache.txt")
    gate_compiler=gcc
    ! "$cc" --version | grep -q clang || gate_compiler=clang
    gate_compiler+=-$("$cc" -dumpfullversion 2>/dev/null || "$cc" -dumpversion)
    gate_libc=$(getconf GNU_LIBC_VERSION | tr ' ' -)
    declare -gA gate_old=() gate_new=()
    [ ! -e "$gate_file" ] || while read -r key value; do
        case $key in '#'* | '') ;; *) gate_old[$key]=$value ;; esac
    done <"$gate_file"
    gate_compared=yes
    if [ "${gate_old[compiler]:-$gate_compiler}" != "$gate_compiler" ] ||
        [ "${gate_old[libc]:-$gate_libc}" != "$gate_libc" ]; then
        gate_compared=no
        echo "NOT COMPARED with $gate_file: recorded with ${gate_old[compiler]} and" \
            "${gate_old[libc]}, this is $gate_compiler and $gate_libc"
    fi
}

gate_recorded() { # gate_recorded NAME: the count that is on record, or -
    echo "${gate_old[$1]:--}"
}

# gate_check NAME COUNT: false if it is above the recorded one.
gate_check() {
    local old=${gate_old[$1]:-$2}
    gate_new[$1]=$2
    [ "$gate_compared" = yes ] || return 0
    at_most "$2" "$(awk -v old="$old" -v t=$tolerance 'BEGIN { printf "%.4f", old * t }')"
}

gate_failed() {
    gate_broken=yes
}

# gate_end RECORD(yes|no): with yes, lower counts and new ones are written down.
gate_end() {
    local key
    [ "$1" = yes ] && [ "$gate_compared" = yes ] || return 0
    for key in "${!gate_new[@]}"; do
        if ! at_most "${gate_new[$key]}" "${gate_old[$key]:-${gate_new[$key]}}"; then
            gate_new[$key]=${gate_old[$key]}
        fi
    done
    {
        echo "# Instructions per call. ./dev perf fails on a count that is more than 0.5 % above its line;"
        echo "# perf/run.sh --record writes lower ones. To raise one, edit it and say why in the commit."
        echo "compiler $gate_compiler"
        echo "libc $gate_libc"
        for key in "${!gate_new[@]}"; do
            echo "$key ${gate_new[$key]}"
        done | sort
    } >"$gate_file"
    echo "recorded in $gate_file"
}

gate_verdict() {
    if [ "$gate_broken" = yes ]; then
        echo 'FAIL: a gate is broken'
        return 1
    fi
    echo 'PASS: all gates hold'
}
