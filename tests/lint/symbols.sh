#!/bin/bash
# The libraries export weir_* alone, name no global otherwise, and link what they say they link.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"

check_exports() { # check_exports LIBRARY ALLOWED_LIBRARIES
    local library=$binary_dir/$1.so name
    [ -e "$library" ] || return
    [ -n "$(nm -D --defined-only "$library" | awk '$NF ~ /^weir_/')" ] ||
        complain "$1.so exports nothing"
    for name in $(nm -D --defined-only "$library" | awk '$NF !~ /^weir_/ { print $NF }'); do
        complain "$1.so exports $name"
    done
    for name in $(readelf -d "$library" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p'); do
        [[ $name =~ ^($2)\.so ]] || complain "$1.so needs $name"
    done
    readelf -d "$library" | grep -q "SONAME.*\[$1.so.0\]" || complain "$1.so: SONAME is not $1.so.0"
}
system='libc|libm|libpthread|ld-linux-x86-64|ld-linux-aarch64'
[ -e "$binary_dir/libweir.so" ] || { echo "skipped: no libweir.so in $binary_dir"; exit 77; }
check_exports libweir "$system|liburcu-bp|liburcu-common|libck"
check_exports libweir-testing "$system|libweir"
check_exports libweir-config "$system|libweir|libyaml-0"

# A static library has no hidden names: what is not ours by its prefix may clash with a user's.
for name in $(nm -g --defined-only "$binary_dir"/CMakeFiles/weir*_objects.dir/*/*/*.o \
    "$binary_dir"/CMakeFiles/weir*_objects.dir/*/*.o 2>/dev/null |
    awk 'NF == 3 && $3 !~ /^(weir|wr)_/ { print $3 }'); do
    complain "global name without our prefix: $name"
done
exit "$failed"
