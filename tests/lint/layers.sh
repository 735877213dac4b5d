#!/bin/bash
# Includes point downwards only: a file may include its own folder and folders of a lower rank.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"

rank() {
    case $1 in
    base) echo 0 ;;
    policy) echo 1 ;;
    context | release) echo 2 ;;
    guard | isolation) echo 3 ;;
    command) echo 4 ;;
    config | testing) echo 5 ;;
    admin | discovery | quota) echo 6 ;;
    tool) echo 7 ;;
    *) echo unknown ;;
    esac
}

while IFS=: read -r file line include; do
    folder=${file#src/}
    folder=${folder%%/*}
    target=${include#*\"}
    target=${target%\"*}
    target=${target#src/}
    if [[ $target != */* ]]; then
        complain "$file:$line: write the folder too: \"$folder/$target\""
        continue
    fi
    target=${target%%/*}
    from=$(rank "$folder")
    to=$(rank "$target")
    if [ "$from" = unknown ] || [ "$to" = unknown ]; then
        complain "$file:$line: no layer known for $folder or $target (see $0)"
    elif [ "$folder" != "$target" ] && [ "$to" -ge "$from" ]; then
        complain "$file:$line: $folder must not include $target"
    fi
done < <(grep -rnE --include='*.[ch]' '^ *# *include *"' src isolation 2>/dev/null)

# A public header stands on public headers and the standard library alone.
while IFS=: read -r file line include; do
    complain "$file:$line: a public header includes <weir/...> and the standard library only"
done < <(grep -rnE --include='*.h' '^ *# *include *("|<(urcu|ck_|yaml|pthread|criterion))' include)
exit "$failed"
