#!/bin/bash
# Every C file is as clang-format leaves it.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"
require clang-format-14
our_files '*.c' '*.h' | xargs -r clang-format-14 --dry-run --Werror
