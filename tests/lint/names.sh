#!/bin/bash
# A C file's basename is unique in the tree: a reader who knows the name finds the file.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"
for name in $(our_files '*.c' '*.h' | sed 's|.*/||' | sort | uniq -d); do
    complain "more than one $name: $(our_files "$name" | tr '\n' ' ')"
done
exit "$failed"
