#!/bin/bash
# Shell scripts parse, and pass shellcheck where it is installed.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"
mapfile -t scripts < <({ our_files '*.sh'; echo dev; echo .ci/run; } | sort)
for script in "${scripts[@]}"; do
    bash -n "$script" || failed=1
    [ "${script##*/}" = common.sh ] || [ -x "$script" ] || complain "$script: not executable"
done
if command -v shellcheck >/dev/null; then
    shellcheck -x "${scripts[@]}" || failed=1
fi
exit "$failed"
