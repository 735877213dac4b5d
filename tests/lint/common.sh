# Sourced by the lint scripts, which are called as SCRIPT SOURCE_DIR BINARY_DIR.
# shellcheck shell=bash
# shellcheck disable=SC2034 # its variables are for those scripts
set -u
source_dir=$1
binary_dir=$2
cd "$source_dir" || exit 1
failed=0

complain() {
    echo "$*"
    failed=1
}

# The project's own files of the given patterns, one a line; needs no git.
our_files() {
    local pattern names=()
    for pattern in "$@"; do
        names+=(-o -name "$pattern")
    done
    find . -path ./build -prune -o -path ./.git -prune -o -path ./.cache -prune -o \
        -type f \( "${names[@]:1}" \) -printf '%P\n' | sort
}

# require COMMAND: a check that cannot run is reported as skipped, never as passed.
require() {
    command -v "$1" >/dev/null || { echo "skipped: no $1"; exit 77; }
}
