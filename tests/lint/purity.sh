#!/bin/bash
# A policy is a plain function of its arguments: no clock, lock, atomic, allocation or I/O.
# Three looks, as no single one sees everything: what the objects call, what the headers they take
# in could offer, and words that leave no symbol behind.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"
shopt -s nullglob

# 1. Calls: from the policy objects through whatever they reach, only these may be outside our code
#    (copying, and what compilers emit themselves: wide division, stack guard, assert).
outside='^(mem(cpy|move|set|cmp)(_chk)?|__mem(cpy|move|set)_chk|__u?(div|mod|divmod)ti[34]|__stack_chk_fail|__assert_fail|_GLOBAL_OFFSET_TABLE_)$'
objects=$binary_dir/CMakeFiles/weir_objects.dir
policies=("$objects"/src/policy/*.o)
if [ -d src/policy ] && [ -n "$(echo src/policy/*.c)" ] && [ ${#policies[@]} = 0 ]; then
    complain "no policy objects under $objects: the check would prove nothing"
fi
if [ ${#policies[@]} -gt 0 ]; then
    nm -A -g "${policies[@]}" "$objects"/src/base/*.o | sed "s|^$objects/||" |
        awk -v outside="$outside" '
            { sub(/:$/, "", $1); split($1, part, ":"); object = part[1] }
            $(NF - 1) == "U" || $(NF - 1) == "w" { needs[object] = needs[object] " " $NF; next }
            { where[$NF] = object }
            END {
                for (object in needs) if (object ~ /src\/policy\//) { queue[++n] = object; via[object] = object }
                for (i = 1; i <= n; i++) {
                    count = split(needs[queue[i]], names, " ")
                    for (j = 1; j <= count; j++) {
                        name = names[j]
                        if (name ~ outside) continue
                        if (!(name in where)) {
                            print via[queue[i]] " reaches " name; bad = 1
                        } else if (!(where[name] in via)) {
                            via[where[name]] = via[queue[i]] " -> " where[name]
                            queue[++n] = where[name]
                        }
                    }
                }
                exit bad
            }' || failed=1
    # A policy keeps no state of its own either.
    if nm "${policies[@]}" | grep -E ' [bBdD] '; then
        complain 'policy objects: variables that are not const, see above'
    fi
fi

# 2. Headers, followed all the way down.
impure='/(pthread|stdatomic|time|threads|stdio|stdlib|unistd|errno|signal|malloc|urcu[^/]*|ck_[^/]*)\.h'
for file in src/policy/*.c; do
    if ! includes=$("${CC:-cc}" -std=c17 -Iinclude -Isrc -I. -M "$file"); then
        complain "$file: cannot follow its includes"
    fi
    found=$(grep -oE "[^ ]*$impure" <<<"$includes" | grep -v '/bits/' | sort -u | tr '\n' ' ')
    [ -z "$found" ] || complain "$file: takes in $found"
done

# 3. Words.
if grep -nE '\b(_Atomic|__atomic_|__sync_|volatile|asm|__asm__|_Thread_local)\b' \
    src/policy/*.[ch] </dev/null; then
    complain 'src/policy: see above'
fi
exit "$failed"
