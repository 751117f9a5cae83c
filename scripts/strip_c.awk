# strip_c.awk - blanks what is inside comments, strings and characters of C sources, keeps all lines.
#
#   awk -v out=FOLDER -f scripts/strip_c.awk FILE...     writes FOLDER/FILE for each FILE
#
# The checks grep these copies, so that a word in a comment or in a text is no finding. Quotes and
# comment marks stay; the folders must be there.

FNR == 1 {
    if (target != "") {
        close(target)
    }
    target = out "/" FILENAME
    in_comment = 0
    printf "" >target
}

{
    line = $0
    kept = ""
    if (!in_comment && line ~ /^[ \t]*#[ \t]*include/) {
        print line >target
        next
    }
    while (line != "") {
        if (in_comment) {
            at = index(line, "*/")
            if (at == 0) {
                line = ""
                break
            }
            kept = kept "*/"
            line = substr(line, at + 2)
            in_comment = 0
        } else if (match(line, /\/\*|\/\/|"|'/)) {
            mark = substr(line, RSTART, RLENGTH)
            kept = kept substr(line, 1, RSTART - 1) mark
            line = substr(line, RSTART + RLENGTH)
            if (mark == "/*") {
                in_comment = 1
            } else if (mark == "//") {
                line = ""
            } else if ((mark == "\"" && match(line, /^([^"\\]|\\.)*"/)) ||
                       (mark == "'" && match(line, /^([^'\\]|\\.)*'/))) {
                kept = kept mark
                line = substr(line, RLENGTH + 1)
            }
        } else {
            kept = kept line
            line = ""
        }
    }
    print kept >target
}
