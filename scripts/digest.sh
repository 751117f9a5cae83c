# digest.sh - what failed, in a few lines; read by other scripts.
#
# Of the output of a long run often only the end is seen. So whatever counts failures says once more,
# just before its closing line, what they were:
#
#   ==== what failed ====
#   live client_life::case_61 (0.47s)
#       tests/live/client/test_life.c:94: The expression x == 1 is false.
#   911 passed, 1 failed
#
#   digest_criterion NAME LOG      the tests that failed, each with its message
#   digest_report NAME FILE...     reports of sanitizers and valgrind: what, whose, our first frames
#   digest_fuzz NAME LOG INPUT...  what a fuzz target said, and the inputs; small ones in base64
#   digest_lines NAME LOG          the not ok lines and what belongs to them; else a compiler's
#                                  errors; else the last lines
#   digest_fold                    a filter: what is told again and again is told once
#   digest_of LOG                  what a run has said so itself; nothing if it has not
#   digest_cut MAX FILE            prints the lines of FILE, as many as there is room for
#   what_failed FILE               prints them as above
# shellcheck shell=bash

digest_max=56

# The test's own words come before Criterion's, and other tests' may be among them.
digest_criterion() {
    awk -v name="$1" '
        function tell(title,   i) {
            print name " " title
            for (i = 1; i <= n_before; i++) print "    " before[i]
            for (i = 1; i <= n_said && i <= 4; i++) print "    " said[i]
        }
        /^\[----\] .*Unexpected signal/ { said[++n_said] = substr($0, 8); next }
        /^\[----\] [^ ]/ { place = $2; next }
        /^\[----\]   ./ {
            said[++n_said] = place " " substr($0, 10)
            place = " "
            next
        }
        /^\[FAIL\] / {
            sub(/: /, " ")
            tell(substr($0, 8))
            n_before = n_said = 0
            next
        }
        /^(\[|ok |# |==== |NEARKV_SEED=)/ || /^ *$/ { next }
        {
            if (n_before == 3) {
                before[1] = before[2]
                before[2] = before[3]
                n_before = 2
            }
            before[++n_before] = $0
        }' "$2"
}

# A frame is ours if it names a file of the checkout; valgrind names no folders.
digest_report() {
    local name=$1 file valgrind
    shift
    for file in "$@"; do
        valgrind=0
        [[ $file != *.valgrind.* ]] || valgrind=1
        awk -v name="$name" -v root="$PWD/" -v pid="${file##*.}" -v valgrind="$valgrind" '
            {
                while ((at = index($0, root)) > 0)
                    $0 = substr($0, 1, at - 1) substr($0, at + length(root))
                text = $0
                sub(/^==[0-9]+== */, "", text)
            }
            what == "" && (/(ERROR|WARNING): [A-Za-z]*Sanitizer/ || /runtime error: / ||
                           (valgrind && text ~ /^[A-Z0-9]/ && text !~ /^WARNING/)) { what = text }
            /^in the test / { whose = $0 }
            /^SUMMARY: / { summary = $0 }
            (/^ *#[0-9]+ / && / (src|tests|bench|examples)\/[^ ]*:[0-9]+/ &&
             !/tests\/harness\/|_jmp tests\//) ||
            (valgrind && text ~ /^(at|by) 0x.*\([^ ]+\.[ch]:[0-9]+\)/ && text !~ /\(vg_/) {
                sub(/^ */, "", text)
                sub(/ \([^ ]*\+0x[0-9a-f]+\)$/, "", text)
                sub(/^(#[0-9]+|at|by) (0x[0-9a-fA-F]+:? )?(in )?/, "", text)
                if (n < 4 && !(text in seen)) {
                    seen[text] = 1
                    frames[++n] = text
                }
            }
            END {
                print name " " (what == "" ? "a report" : what)
                print "    " (whose == "" ? "in process " pid : whose)
                for (i = 1; i <= n; i++) print "    " frames[i]
                if (summary != "") print "    " summary
            }' "$file"
    done
}

digest_fuzz() {
    local name=$1 log=$2 input
    shift 2
    echo "$name"
    grep -aE 'Assertion|runtime error: |ERROR: |^SUMMARY: |: not so: |^not ok' "$log" | head -n 4 |
        sed 's/^/    /'
    for input in "$@"; do
        [ -f "$input" ] || continue
        echo "    $input, $(wc -c <"$input") bytes"
        [ "$(wc -c <"$input")" -ge 2048 ] || echo "    base64: $(base64 -w 0 "$input")"
    done
}

# Before a line of ours stands what its tool had to say, behind it what is indented.
digest_lines() {
    awk -v name="$1" '
        function last(max,   i) {
            for (i = n > max ? n - max + 1 : 1; i <= n; i++) print "    " kept[i]
            n = 0
        }
        /^(ok|#) / { n = behind = 0; next }
        /^(not ok|FAILED) / {
            behind = 0
            if (++told > 8) next
            last(4)
            print name " " $0
            behind = 3
            next
        }
        /^[0-9]+ passed, [0-9]+ failed/ || /^==== / || /^ *$/ { behind = 0; next }
        behind > 0 && /^ / { print "    " $0; behind--; next }
        /(: (fatal )?error: |undefined reference to )/ { errors[++n_errors] = $0 }
        { behind = 0; kept[++n] = $0 }
        END {
            if (told > 8) print name " and " told - 8 " more"
            if (told > 0) exit
            for (i = 1; i <= n_errors && i <= 6; i++) print name " " errors[i]
            if (n_errors > 0) exit
            print name ", the last lines:"
            last(5)
        }' "$2"
}

# Every test runs against several servers, and fails with all of them or with one.
digest_fold() {
    awk '
        /^[^ ]/ { n++ }
        { text[n] = text[n] $0 "\n" }
        END {
            for (i = 1; i <= n; i++) {
                alike = text[i]
                gsub(/ \([0-9.]+s\)|[ (=]+pid[ =][0-9]+\)|==[0-9]+==|process [0-9]+/, "", alike)
                gsub(/0x[0-9a-f]+|[0-9]+ ms|nkvt\.[A-Za-z0-9]+/, "", alike)
                if (count[alike]++ == 0) order[++kinds] = i
                key[i] = alike
            }
            for (k = 1; k <= kinds; k++) {
                head = whole = text[order[k]]
                sub(/\n.*/, "", head)
                if (k > 10) {
                    sub(/^[^ ]+ /, "", head)
                    more = more (k > 11 ? ", " : "") head
                    continue
                }
                times = count[key[order[k]]]
                print head (times > 1 ? " [" times " times]" : "")
                printf "%s", substr(whole, length(head) + 2)
            }
            if (kinds > 10) print "and " kinds - 10 " more: " more
        }'
}

digest_of() {
    awk '/^==== what failed ====$/ { n = 0; on = 1; next }
        /^[0-9]+ passed, [0-9]+ failed/ { on = 0 }
        on { lines[++n] = $0 }
        END { for (i = 1; i <= n; i++) print lines[i] }' "$1"
}

digest_cut() {
    awk -v max="$1" '
        { lines[NR] = /^ *base64: / ? $0 : substr($0, 1, 240) }
        END {
            shown = NR > max ? max - 1 : NR
            for (i = 1; i <= shown; i++) print lines[i]
            if (NR > max) print "... and " NR - shown " lines more, in the output above"
        }' "$2"
}

what_failed() {
    [ -s "$1" ] || return 0
    echo "==== what failed ===="
    digest_cut "$digest_max" "$1"
}
