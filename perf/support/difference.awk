# What each instruction was executed per call: the difference of two callgrind profiles of one
# program, the second with `calls` more calls than the first. Set-up and end cancel out.
#
#   awk -v calls=N -v skip=OBJECT -f difference.awk SHORT LONG
#
# The profiles must be written with --dump-instr=yes --compress-strings=no --compress-pos=no.
# Prints OBJECT ADDRESS COUNT FUNCTION SOURCE:LINE, tab-separated; nothing of the object `skip`,
# which is the bench itself.
BEGIN { FS = "\t"; OFS = "\t" }

FNR == 1 { file++ }

/^ob=/ { object = substr($0, 4); next }
/^f[lie]=/ { source = substr($0, 4); next }
/^fn=/ { name = substr($0, 4); next }
/^calls=/ { inclusive = 1; next } # the next line is the callee's cost, counted there

/^0x/ {
    if (inclusive) {
        inclusive = 0
        next
    }
    split($0, part, " ")
    key = object OFS part[1]
    executed[key] += file == 1 ? -part[3] : part[3]
    where[key] = name OFS source ":" part[2]
}

END {
    for (key in executed) {
        split(key, part, OFS)
        if (executed[key] != 0 && part[1] != skip) {
            print part[1], substr(part[2], 3), executed[key] / calls, where[key]
        }
    }
}
