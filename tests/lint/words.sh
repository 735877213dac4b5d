#!/bin/bash
# No leftovers: what is open is said in the documentation, and no file knows where it was written.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"
# Each pattern has a bracket so that this file does not find itself.
pattern='/wor[k]/|/roo[t]/|issue [#]|TO[D]O|FIX[M]E'
if find . -path ./build -prune -o -path ./.git -prune -o -path ./.cache -prune -o -type f -print0 |
    xargs -0 grep -nIE "$pattern"; then
    complain 'see above: no such words in the tree'
fi
exit "$failed"
