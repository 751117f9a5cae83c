#!/usr/bin/env bash
# check_style.sh - greps for what the house does not do; each finding says why.
#
# Comments and strings are blanked before the code rules look (strip_c.awk), so a word in a text is
# no finding. Patterns are written like [t]his where the rule would else find itself.
# Needs nothing but a shell and the usual tools; exit status 1 if there is a finding.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
export LC_ALL=C.UTF-8

findings=0
stripped=$(mktemp -d) || exit 2
trap 'rm -rf "$stripped"' EXIT

# All files of the project: what git knows, else (in an unpacked archive) what is there.
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    mapfile -t all < <(git ls-files --cached --others --exclude-standard | sort -u |
        while read -r file; do [ -f "$file" ] && echo "$file"; done)
else
    mapfile -t all < <(find . -type f -not -path './build/*' -not -path './deps/*' \
        -not -path './.git/*' -printf '%P\n' | sort)
fi
text=() code=() python=()
for file in "${all[@]}"; do
    case $file in
    tests/fuzz/corpus/*) continue ;;
    *.c | *.h) code+=("$file") ;;
    *.py) python+=("$file") ;;
    esac
    text+=("$file")
done
if [ ${#code[@]} -gt 0 ]; then
    while read -r folder; do mkdir -p "$stripped/$folder"; done < <(dirname "${code[@]}" | sort -u)
    awk -v out="$stripped" -f scripts/strip_c.awk "${code[@]}" || exit 2
fi

# report WHY: takes grep's lines from stdin.
report() {
    local why=$1 line
    while IFS= read -r line; do
        printf '%s\n    %s\n' "$line" "$why"
        findings=$((findings + 1))
    done
}

# in_code WHY PATTERN PATH...: greps blanked code. Paths that are not there are no matter.
in_code() {
    local why=$1 pattern=$2
    shift 2
    report "$why" < <(cd "$stripped" && grep -rnE -- "$pattern" "$@" 2>/dev/null)
}

# in_text WHY PATTERN: greps all of every file, comments and documents as well.
in_text() {
    report "$1" < <(printf '%s\0' "${text[@]}" | xargs -0 -r grep -nHIE -- "$2" 2>/dev/null)
}

# library PATTERN WHY: the library without the command.
library() {
    report "$2" < <(cd "$stripped" && grep -rnE -- "$1" src include 2>/dev/null | grep -v '^src/cli/')
}

call='(^|[^A-Za-z0-9_.>])'

# ---- The language ---------------------------------------------------------------------------------

in_code 'comments are /* */ only' '//' src include tests bench examples scripts
in_code 'no bound is given: use memcpy, snprintf or strlcpy-like helpers that carry a length' \
    "${call}(strcpy|strcat|stpcpy|sprintf|vsprintf|gets|strncpy|strncat)[ \t]*\(" \
    src include tests bench examples
in_code 'cannot report an error: use strtol and its kin, and look at the end pointer' \
    "${call}(atoi|atol|atoll|atof)[ \t]*\(" src tests bench examples
in_code 'hidden state that threads share: use the _r form' \
    "${call}(strtok|localtime|gmtime|ctime|asctime|strerror|getpwnam|gethostbyname)[ \t]*\(" src
in_code 'the stack has no way to say no: use base/mem.h' "${call}alloca[ \t]*\(" src tests
in_code 'the _t ending belongs to POSIX: name the type without it' \
    '(typedef[^;{]*[ *]|^\}[ \t]*)(nkvi?_)?[a-z0-9_]+_t;' src include
in_code 'a statement after if, else, for or while stands in braces' \
    '^[ \t]*(\} )?(else|do|(else )?(if|for|while) \(.*\))[ \t]*$|^[ \t]*(if|for|while) \(.*\)[ \t]*[^{;,&|(+*/:?-]*;[ \t]*$' src include

# ---- The library ------------------------------------------------------------------------------------

memory='malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign'
report 'memory goes through base/mem.h, so that tests can fail each allocation in turn' < <(
    cd "$stripped" && grep -rnE -- "${call}($memory)[ \t]*\(" src include 2>/dev/null |
        grep -vE '^src/(cli/|base/mem[a-z_]*\.[ch]:)')
library "${call}(abort|exit|_exit|_Exit|quick_exit)[ \t]*\(" \
    'a library must not end its program: return a status'
library "${call}(srand|srandom|rand|random|drand48)[ \t]*\(" \
    'global random state belongs to the program: use our own generator with its own seed'
library "${call}(signal|sigaction|sigprocmask|alarm|setitimer|atexit)[ \t]*\(" \
    'signals and exit hooks belong to the program: use MSG_NOSIGNAL, deadlines, close()'
library "${call}(printf|puts|putchar|perror|vprintf)[ \t]*\(|${call}v?fprintf[ \t]*\([ \t]*std" \
    'a library does not write to the terminal: hand the text to the log callback'
library "${call}(setenv|putenv|unsetenv|setlocale|chdir|umask|fork|system|popen)[ \t]*\(" \
    'changes the whole process: not for a library to do'
report 'uthash is included by one wrapper only, which sets HASH_NONFATAL_OOM (its default exits)' < <(
    cd "$stripped" && found=$(grep -rnE '#[ \t]*include[ \t]*<(uthash|utlist|utarray)\.h>' src 2>/dev/null) &&
        if [ "$(cut -d: -f1 <<<"$found" | sort -u | wc -l)" -gt 1 ]; then echo "$found"; fi)
in_code 'a secret must not reach a log or the terminal: print that it is set, not what it is' \
    '(printf|[a-z_]*log[a-z_]*|puts)[ \t]*\(.*[^A-Za-z]((auth_)?password|passwd|secret|passphrase)([^A-Za-z_(]|$)' \
    src examples

# ---- What the public sees -------------------------------------------------------------------------

report 'public macros begin with NKV_' < <(cd "$stripped" &&
    grep -rnE '^[ \t]*#[ \t]*define[ \t]+' include 2>/dev/null | grep -vE 'define[ \t]+(NKV_|NEARKV_|nkv_)')
report 'public types begin with nkv_' < <(cd "$stripped" &&
    grep -rnE '^(typedef .*[ *]|\} ?)[A-Za-z0-9_]+;' include 2>/dev/null | grep -vE '[ *}(]nkv_[a-z0-9_]+;')
in_code 'internal names stay out of the public headers' 'nkvi_|NKVI_' include
if command -v nm >/dev/null && [ -f build/release/obj/libnearkv_all.a ]; then
    report 'every symbol of the archive begins with nkv_ or nkvi_: static libraries share one namespace' < <(
        nm -g --defined-only build/release/obj/libnearkv_all.a 2>/dev/null |
            awk 'NF == 3 && $3 !~ /^(nkv|nkvi)_/ && $2 != "w" && $2 != "V" { print "symbol " $3 }')
fi

# ---- Files ------------------------------------------------------------------------------------------

for file in "${code[@]}"; do
    case $file in
    src/*.c | include/*.h | src/*.h)
        read -r first <"$file"
        case $first in
        '/* '*' - '*) ;;
        *) report 'begins with a comment: /* room/file.c - what it is for' <<<"$file:1: $first" ;;
        esac
        ;;
    esac
    case $file in
    src/*.c)
        own=${file#src/}
        own=${own%.c}.h
        if [ -f "src/$own" ]; then
            first=$(grep -m 1 -E '^#[ \t]*include' "$file")
            case $first in
            *"\"$own\""*) ;;
            *) report "includes its own header \"$own\" first, so that the header is known to stand alone" \
                <<<"$file: $first" ;;
            esac
        fi
        ;;
    esac
done

# ---- Tests ------------------------------------------------------------------------------------------

in_code 'a test does not wait for time to pass: the time is an argument' \
    "${call}(sleep|usleep|nanosleep|clock_nanosleep|pthread_cond_timedwait|select)[ \t]*\(" \
    tests/unit tests/model tests/oom tests/fake
in_code 'assert() is empty in the release profile: use cr_assert, or a check that always looks' \
    "${call}assert[ \t]*\(" tests bench examples
in_code 'a disabled test is a test that is not there: mend it or take it out' \
    '\.disabled[ \t]*=' tests

# ---- Words ------------------------------------------------------------------------------------------

in_text 'finish it or open an issue: the source holds no plans' \
    '(^|[^A-Za-z_])(T[O]DO|F[I]XME|X[X]X|H[A]CK)([^A-Za-z_]|$)'
in_text 'the project names no host of a package registry: ask the machine (apt-get indextargets)' \
    '(deb|security|snapshot|ftp)\.[d]ebian\.|archive\.[u]buntu|registry\.[n]pm|[p]ypi\.|[c]rates\.io|packages\.[c]loud'
in_text 'a path of one machine: take it from the environment or the checkout' \
    '(^|[^A-Za-z0-9_.])/[w]ork/|/tmp/[n]kv|/[h]ome/[a-z]|/[r]oot/'
report 'white space at the end of a line' < <(printf '%s\0' "${text[@]}" |
    xargs -0 -r grep -nHIE '[ 	]+$' 2>/dev/null | grep -v '\.md:')
report 'a tab: indent with 4 spaces' < <(printf '%s\0' "${code[@]}" "${python[@]}" |
    xargs -0 -r grep -nHP '\t' 2>/dev/null)
report 'longer than 100 columns: two windows beside each other is how code is read' < <(
    printf '%s\0' "${code[@]}" "${python[@]}" | xargs -0 -r grep -HnE '^.{101,}$' 2>/dev/null |
        awk -F: '{ count[$1]++; if (!($1 in first)) first[$1] = $2 }
            END { for (file in count) print file ":" first[file] ": " count[file] " lines" }' | sort)
for file in "${all[@]}"; do
    case $file in
    scripts/* | tests/sh/*.sh | .ci/run)
        if head -n 1 "$file" | grep -q '^#!.*sh$' && ! grep -qE '^set -[eu]+o pipefail' "$file"; then
            report 'a script sets -u and pipefail (and -e where it may), so that no failure is passed over' \
                <<<"$file"
        fi
        ;;
    esac
    if [ -s "$file" ] && [ -n "$(tail -c 1 "$file" | tr -d '\n\0')" ] && grep -Iq . "$file"; then
        case $file in tests/fuzz/corpus/*) ;; *) report 'no newline at the end of the file' <<<"$file" ;; esac
    fi
done

[ "$findings" -eq 0 ] && echo "check_style: ${#all[@]} files"
[ "$findings" -eq 0 ]
