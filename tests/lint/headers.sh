#!/bin/bash
# Each public header compiles alone, as C11 and as C++11, with both compilers.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"
require g++
require clang-14
strict=(-Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude)

for header in include/weir/*.h; do
    # The declaration: a translation unit must not be empty, and a header may be.
    line="#include <${header#include/}>"$'\nextern int weir_header_alone;'
    for compiler in gcc clang-14; do
        "$compiler" -std=c11 "${strict[@]}" -x c - <<<"$line" ||
            complain "$header: not C11 on its own ($compiler)"
    done
    for compiler in g++ 'clang-14 -Wno-unused-command-line-argument'; do
        # shellcheck disable=SC2086 # a command and its option
        $compiler -std=c++11 "${strict[@]}" -x c++ - <<<"$line" ||
            complain "$header: not C++11 on its own ($compiler)"
    done
done
exit "$failed"
