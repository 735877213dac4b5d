#!/bin/bash
# One file uses liburcu, one uses ck: those two alone are built without ThreadSanitizer.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"

only_in() { # only_in FILE HEADER_PATTERN
    local hit
    while read -r hit; do
        complain "$hit: only $1 may include this"
    done < <(grep -rnE --include='*.[ch]' "^ *# *include *[<\"]$2" include src isolation |
        grep -v "^$1:")
}
only_in src/base/rcu.c 'urcu'
only_in src/base/backoff.c 'ck_'

# What Debian's ck 0.7.1 gets wrong, as later upstream fixes show.
if grep -nE 'ck_(ht|hp|fifo|array|hs|epoch)\b|ck_stack_batch_pop|ck_ring_valid' src/base/backoff.c; then
    complain 'src/base/backoff.c: not fit for use in ck 0.7.1'
fi
exit "$failed"
