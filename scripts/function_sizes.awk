# function_sizes.awk - prints FILE LINE NAME LINES PARAMETERS for each function of C sources.
#
# Reads copies made by strip_c.awk. Relies on the house's layout, which clang-format keeps: the
# braces of a function stand in column 1, nothing else's opening brace stands there alone.

function reset() {
    head = ""
    head_line = 0
}

# Parameters of the last top-level (...) of a function's head.
function parameters(text,    i, c, depth, commas, inside) {
    depth = 0
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "(") {
            depth++
            if (depth == 1) {
                commas = 0
                inside = ""
                continue
            }
        } else if (c == ")") {
            depth--
        } else if (c == "," && depth == 1) {
            commas++
        }
        if (depth >= 1) {
            inside = inside c
        }
    }
    gsub(/[ \t]/, "", inside)
    return (inside == "" || inside == "void") ? 0 : commas + 1
}

function name_of(text) {
    sub(/[ \t]*\(.*/, "", text)
    sub(/.*[ \t*]/, "", text)
    return text
}

FNR == 1 {
    reset()
    in_body = 0
}

in_body {
    if ($0 ~ /^}/) {
        print FILENAME, head_line, label, FNR - head_line + 1, count
        in_body = 0
        reset()
    }
    next
}

/^\{/ {
    if (head ~ /\(/ && head !~ /^[ \t]*(struct|enum|union|typedef)[^(]*$/) {
        label = name_of(head)
        if (label == "Test" || label == "ParameterizedTest" || label == "Theory") {
            label = head
            gsub(/[ \t]/, "", label)
            count = 0
        } else {
            count = parameters(head)
        }
        in_body = 1
    } else {
        reset()
    }
    next
}

/^#/ || /^[ \t]*$/ || /;[ \t]*(\/\*.*)?$/ || /^}/ || /^[ \t]*(\/\*)?\*\/[ \t]*$/ {
    reset()
    next
}

{
    if (head == "") {
        head_line = FNR
    }
    text = $0
    gsub(/\/\*(\*\/)?|\*\//, "", text)
    head = head " " text
}
