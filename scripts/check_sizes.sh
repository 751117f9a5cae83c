#!/usr/bin/env bash
# check_sizes.sh - nothing grows past what one can take in.
#
#   a file            800 lines        a function     70 lines, complexity 15, 6 parameters
#   a public header   400 lines
#
# scripts/size_exceptions.txt may let a thing through, one a line: FILE or FILE:FUNCTION, then the
# reason. An exception that is no longer needed is a finding too. Complexity needs pmccabe and is
# left out, with a note, where that is not installed.
# Prints each finding with its reason; exit status 1 if there is one.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

file_max=800 header_max=400 function_max=70 complexity_max=15 parameters_max=6
exceptions=scripts/size_exceptions.txt
findings=0
declare -A allowed used

if [ -f "$exceptions" ]; then
    while read -r what reason; do
        case $what in '' | '#'*) continue ;; esac
        if [ -z "$reason" ]; then
            echo "$exceptions: $what has no reason"
            findings=$((findings + 1))
        fi
        allowed[$what]=1
    done <"$exceptions"
fi

finding() {
    local where=$1 what=$2 why=$3
    if [ -n "${allowed[$what]:-}" ]; then
        used[$what]=1
        return
    fi
    printf '%s: %s\n' "$where" "$why"
    findings=$((findings + 1))
}

mapfile -t files < <(find include src tests bench examples scripts -name '*.[ch]' 2>/dev/null | sort)
if [ ${#files[@]} -eq 0 ]; then
    echo "check_sizes: no sources yet"
    exit 0
fi
stripped=$(mktemp -d) || exit 2
trap 'rm -rf "$stripped"' EXIT
while read -r folder; do mkdir -p "$stripped/$folder"; done < <(dirname "${files[@]}" | sort -u)
awk -v out="$stripped" -f scripts/strip_c.awk "${files[@]}" || exit 2

while read -r lines file; do
    [ "$file" = total ] && continue
    max=$file_max why="split it by what it knows"
    case $file in include/*) max=$header_max why="split it by noun" ;; esac
    if [ "$lines" -gt "$max" ]; then
        finding "$file" "$file" "$lines lines, $max at most: $why"
    fi
done < <(wc -l "${files[@]}")

while read -r file line name lines parameters; do
    if [ "$lines" -gt "$function_max" ]; then
        finding "$file:$line" "$file:$name" "$name has $lines lines, $function_max at most: give \
its parts names"
    fi
    if [ "$parameters" -gt "$parameters_max" ]; then
        finding "$file:$line" "$file:$name" "$name has $parameters parameters, $parameters_max at \
most: gather them in a struct"
    fi
done < <(cd "$stripped" && awk -f "$OLDPWD/scripts/function_sizes.awk" "${files[@]}")

if command -v pmccabe >/dev/null; then
    while read -r complexity _ _ line _ place name _; do
        file=${place%%(*}
        if [ "$complexity" -gt "$complexity_max" ]; then
            finding "$file:$line" "$file:${name%:}" "${name%:} has complexity $complexity, \
$complexity_max at most: fewer branches in one place"
        fi
    done < <(pmccabe "${files[@]}" 2>/dev/null)
else
    echo "check_sizes: complexity left out, pmccabe is not installed (scripts/setup --lint)"
fi

for what in "${!allowed[@]}"; do
    if [ -z "${used[$what]:-}" ]; then
        echo "$exceptions: $what needs no exception any more: take it out"
        findings=$((findings + 1))
    fi
done

[ "$findings" -eq 0 ] && echo "check_sizes: ${#files[@]} files within the limits"
[ "$findings" -eq 0 ]
