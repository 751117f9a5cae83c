# gen_commands.awk - the table of commands, for scripts/gen_commands.
#
#   awk -F '\t' -f gen_commands.awk EXCEPTIONS FACTS...
#
# EXCEPTIONS is command_exceptions.def, each FACTS one server's lines (gen_commands.lua). Prints the
# rows unsorted: a number to sort by (1 command, 2 variant), the name, the row.
#
# Where servers differ, a command writes or blocks if it does so on any, only reads if it does so on
# all, and takes the numbers of arguments that any of them takes.

function fail(name, why) {
    print "gen_commands: " name ": " why >"/dev/stderr"
    failed = 1
}

function size(number) {
    return number < 0 ? -number : number
}

# ---- Exceptions: MACRO("NAME", "why") or WHEN("NAME", CONDITION, CLASS, "why") -------------------

BEGIN {
    ASCII = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
}

FNR == 1 {
    file++
}

file == 1 && /^[A-Z_]+\("/ {
    parts = split($0, part, "\"")
    macro = substr(part[1], 1, length(part[1]) - 1)
    name = part[2]
    if (parts != 5 || part[5] != ")") {
        fail("exceptions, line " FNR, "not of the form MACRO(\"NAME\", \"why\")")
        next
    }
    if (macro == "WHEN") {
        split(part[3], word, /[ ,]+/)
        variants[name] = variants[name] word[2] "\t" word[3] "\t" part[4] "\n"
        next
    }
    if (name in exception) {
        fail(name, "stands in the exceptions twice")
    }
    exception[name] = macro
    why[name] = part[4]
}

# ---- Facts --------------------------------------------------------------------------------------

file > 1 {
    name = $1
    flags = "," $3
    if (!(name in arity)) {
        arity[name] = $2
        all_read[name] = 1
        triple[name] = $4 ", " $5 ", " $6
        keys[name] = $9
    }
    if (arity[name] != $2) {
        arity[name] = -(size($2) < size(arity[name]) ? size($2) : size(arity[name]))
    }
    if (triple[name] != $4 ", " $5 ", " $6 || keys[name] != $9) {
        fail(name, "servers differ in where the keys are: " keys[name] " and " $9)
    }
    writes[name] = writes[name] || index(flags, ",write,")
    blocks[name] = blocks[name] || index(flags, ",blocking,") ||
        (index(flags, ",pubsub,") && index(flags, ",noscript,"))
    all_read[name] = all_read[name] && index(flags, ",readonly,")
    varies[name] = varies[name] || index("," $8, ",nondeterministic_output,")
    keyless[name] = keyless[name] || index(flags, ",no_mandatory_keys,")
    container[name] = container[name] || $7 == "container"
}

# ---- Rows ---------------------------------------------------------------------------------------

# Where the keys are; see the rules in command.c.
function key_rule(name,    spec, at) {
    spec = keys[name]
    if (spec == "") {
        return "NONE"
    }
    if (name == "SORT" || name == "MIGRATE") {
        return name "_KEYS"
    }
    if (name == "SORT_RO") {
        return "RANGE(" triple[name] ")" # what BY and GET name are patterns
    }
    if (spec ~ /^(index\/[0-9]+:range\/-?[0-9]+\/[0-9]+\/0;)+$/) {
        return "RANGE(" triple[name] ")"
    }
    if (spec ~ /^index\/[0-9]+:keynum\/0\/1\/1;$/) {
        split(spec, at, /[\/:]/)
        return (keyless[name] ? "MAYBE_COUNTED(" : "COUNTED(") at[2] ")"
    }
    if (spec == "index/1:range/0/1/0;index/2:keynum/0/1/1;") {
        return "FIRST_COUNTED"
    }
    if (spec ~ /^keyword\/STREAMS\/[0-9]+:range\/-1\/1\/2;$/) {
        return "STREAMS"
    }
    split(spec, at, /[\/:;]/)
    if (at[8] == "STORE" && spec == "index/1:range/0/1/0;keyword/STORE/" at[9] ":range/0/1/0;" \
            "keyword/STOREDIST/" at[9] ":range/0/1/0;") {
        return "STORE(" at[9] ")"
    }
    fail(name, "its keys are found in a way that is new: " spec)
    return "NONE"
}

function many_keys(rule,    number) {
    if (rule ~ /^RANGE/) {
        split(rule, number, /[(, )]+/)
        return number[2] != number[3]
    }
    return rule != "NONE"
}

# Class and reason of a command without exception.
function set_default(name, rule) {
    reason = "NULL"
    if (blocks[name]) {
        fail(name, "blocks or subscribes: say in the exceptions what it is")
    }
    if (writes[name]) {
        class = "WRITE"
    } else if (!all_read[name]) {
        class = "OTHER"
        if (rule != "NONE") {
            fail(name, "names keys, but neither reads nor writes: say in the exceptions what it is")
        }
    } else if (rule == "NONE") {
        class = "READ"
        reason = "\"it names no key whose change the server would tell of\""
    } else if (many_keys(rule) && exception[name] != "PER_KEY") {
        class = "READ"
        reason = "\"it names several keys, and its answer belongs to all of them\""
    } else {
        class = "CACHED"
        if (varies[name]) {
            fail(name, "its answer varies: say in the exceptions why it is not cached")
        }
    }
}

function set_class(name, rule) {
    reason = "\"" why[name] "\""
    if (exception[name] == "NEVER" || exception[name] == "OPT_IN") {
        class = "READ"
        if (writes[name]) {
            fail(name, "is called read-only in the exceptions, but writes")
        }
    } else if (exception[name] == "WRITES") {
        class = "WRITE"
        reason = "NULL"
    } else if (exception[name] == "FLUSHES") {
        class = "FLUSH"
        reason = "NULL"
    } else if (exception[name] == "REFUSE") {
        class = "REFUSED"
    } else {
        set_default(name, rule)
    }
}

# The first eight bytes of a name as a number; smaller is before.
function prefix(name,    i, c, hex) {
    hex = "0x"
    for (i = 1; i <= 8; i++) {
        c = substr(name, i, 1)
        hex = hex (c == "" ? "00" : sprintf("%02x", index(ASCII, c) + 31))
    }
    return hex
}

function row(macro, name, label, rule, flags) {
    return macro "(" label ", \"" name "\", " prefix(name) ", " arity[name] ", " class ", " rule \
        ", " flags ", " reason ")"
}

function identifier(name) {
    gsub(/[|-]/, "_", name)
    return name
}

END {
    for (name in arity) {
        rule = key_rule(name)
        # What blocks under a condition has a variant for that.
        if (index(variants[name], "\tREFUSED\t")) {
            blocks[name] = 0
        }
        set_class(name, rule)
        flags = many_keys(rule) ? "MANY" : ""
        if (container[name]) {
            flags = flags (flags == "" ? "" : " | ") "CONTAINER"
        }
        if (exception[name] == "PER_KEY" || exception[name] == "OPT_IN") {
            flags = flags (flags == "" ? "" : " | ") exception[name]
        }
        flags = flags == "" ? "0" : flags
        print "1\t" name "\t" row("COMMAND", name, identifier(name), rule, flags)
        count = split(variants[name], line, "\n")
        for (i = 1; i < count; i++) {
            split(line[i], field, "\t")
            class = field[2]
            reason = "\"" field[3] "\""
            label = identifier(name) ", " field[1]
            print "2\t" name "\t" row("VARIANT", name, label, rule, flags)
        }
    }
    for (name in exception) {
        if (!(name in arity)) {
            fail(name, "stands in the exceptions, but no server knows it")
        }
    }
    for (name in variants) {
        if (!(name in arity)) {
            fail(name, "has a condition in the exceptions, but no server knows it")
        }
    }
    exit failed
}
