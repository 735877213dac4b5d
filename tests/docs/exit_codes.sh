#!/bin/bash
# usage: exit_codes.sh SOURCE_DIR BINARY_DIR
# The command-line tool: exit codes, and which stream says what.
set -u
weir=$2/weir
[ -x "$weir" ] || { echo "skipped: no $weir"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

# expect CODE OUT ERR ARGUMENT...: exit code, and what the two streams contain (empty: nothing).
expect() {
    local code=$1 out=$2 err=$3 got
    shift 3
    "$weir" "$@" >out 2>err
    got=$?
    if [ "$got" != "$code" ]; then
        echo "weir $*: exit code $got, not $code"
        failed=1
    fi
    compare "$out" out "$@"
    compare "$err" err "$@"
}

compare() {
    local expected=$1 file=$2
    shift 2
    if [ -z "$expected" ] && [ -s "$file" ]; then
        echo "weir $*: std$file is not empty: $(head -n 1 "$file")"
        failed=1
    elif ! grep -qF -- "$expected" "$file" && [ -n "$expected" ]; then
        echo "weir $*: std$file does not say \"$expected\" but: $(cat "$file")"
        failed=1
    fi
}

cat >good.yaml <<'END'
version: 1
dependencies:
  pay: {max_concurrent: 1, max_wait: 10ms, breaker: {}}
  pay.api: {}
END
printf 'version: 1\ndefaults: {timeot: 1s}\n' >bad.yaml
printf '0ms pay call ok took 1ms x2\n' >good.sim
printf '0ms pay call ok\n1ms pya call ok\n' >bad.sim
printf '0ms pay call ok took 5ms x2\n1ms pay begin a\n2ms pay set timeout 5\n' >refused.sim

expect 2 '' 'usage:'
expect 2 '' 'no verb "chekc"' chekc
expect 2 '' 'usage: weir check FILE' check
expect 2 '' 'usage: weir sim FILE SCRIPT' sim good.yaml
expect 2 '' 'usage: weir version' version now
expect 0 'exit codes:' '' --help
expect 0 'weir ' '' version
expect 0 "| \`breaker.open_for\` |" '' settings

expect 0 'good.yaml: ok, 2 dependencies, 3 settings' '' check good.yaml
expect 1 '' 'bad.yaml:2:12: unknown key "timeot": did you mean timeout?' check bad.yaml
expect 1 '' 'none.yaml: cannot be read: No such file or directory' check none.yaml

expect 0 'pay' '' explain good.yaml pay
expect 0 'breaker.open_for 5s' '' explain good.yaml pay.breaker.open_for
expect 0 'pay.api' '' explain good.yaml pay.api
expect 0 'timeout 1s' '' explain good.yaml pay.api.timeout
expect 2 '' 'did you mean pay?' explain good.yaml pya
expect 2 '' 'did you mean breaker.open_for' explain good.yaml pay.breaker.opne_for
expect 1 '' 'bad.yaml:2:12:' explain bad.yaml pay

expect 0 '1.000000,pay,call,2,admitted' '' sim good.yaml good.sim
expect 1 '' 'bad.sim:2: unknown dependency "pya": did you mean pay?' sim good.yaml bad.sim
expect 1 '0.000000,pay,call,1,admitted' 'refused.sim:3: timeout' sim good.yaml refused.sim
expect 1 '' 'none.sim does not exist' sim good.yaml none.sim
expect 1 '' 'bad.yaml:2:12:' sim bad.yaml good.sim

if [ -w /dev/full ]; then
    "$weir" sim good.yaml good.sim >/dev/full 2>err
    [ $? = 1 ] || { echo 'a full disk is not noticed'; failed=1; }
    compare 'the output cannot be written' err sim '>/dev/full'
fi
exit "$failed"
