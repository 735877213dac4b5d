#!/bin/bash
# usage: promtool.sh PROMTOOL PROGRAM: what PROGRAM prints must be valid Prometheus text.
set -u
if [ ! -x "$1" ]; then
    echo "skipped: no promtool ($1)"
    exit 77
fi
text=$("$2") || exit 1
[ -n "$text" ] || { echo 'nothing was rendered'; exit 1; }
"$1" check metrics <<<"$text"
