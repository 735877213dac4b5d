# Reads `objdump -d --no-show-raw-insn` and prints the addresses of the instructions that lock the
# bus or a cache line: those with a lock prefix, and xchg with memory, which locks without one.
/^ *[0-9a-f]+:\t/ {
    if ($2 == "lock" || ($2 ~ /^xchg/ && $0 ~ /\(|%[fg]s:/)) {
        print substr($1, 1, length($1) - 1)
    }
}
