#!/usr/bin/env bash
# check_headers.sh - each header compiles alone, and a public one as C11 and as C++17.
#
# A public header sees include/ only, as it will where it is installed. An internal header sees
# what the sources see. Prints each finding; exit status 1 if there is one.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

cc=${CC:-gcc} cxx=${CXX:-g++}
command -v "$cc" >/dev/null || cc=cc
command -v "$cxx" >/dev/null || cxx=c++
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Werror)
findings=0 checked=0

if ! command -v "$cc" >/dev/null; then
    echo "check_headers: left out, there is no C compiler (scripts/setup)"
    exit 0
fi

# alone LANGUAGE COMPILER HEADER OPTION...: compiles a file that holds nothing but the include,
# twice, so that a missing include guard shows (and one name, since no file may be empty).
alone() {
    local language=$1 compiler=$2 header=$3 out
    shift 3
    checked=$((checked + 1))
    if ! out=$(printf '#include "%s"\n#include "%s"\nextern int nkv_alone;\n' "$header" "$header" |
        "$compiler" -x "$language" -fsyntax-only "$@" - 2>&1); then
        printf '%s\n%s: does not compile alone as %s: it must include what it uses\n' \
            "$out" "$header" "${*: -1}"
        findings=$((findings + 1))
    fi
}

for header in include/nearkv/*.h; do
    [ -f "$header" ] || continue
    alone c "$cc" "${header#include/}" -Iinclude "${warnings[@]}" -Wstrict-prototypes -std=c11
    if command -v "$cxx" >/dev/null; then
        alone c++ "$cxx" "${header#include/}" -Iinclude "${warnings[@]}" -std=c++17
    fi
    if grep -q '(' "$header" && ! grep -q 'extern "C"' "$header" &&
        grep -qE '^NKV_API' "$header"; then
        echo "$header: declares functions without extern \"C\": C++ programs would not link"
        findings=$((findings + 1))
    fi
done

hiredis=(-isystem deps/include)
if [ ! -d deps/include ]; then
    read -ra hiredis <<<"$(pkg-config --cflags hiredis 2>/dev/null)"
fi
while read -r header; do
    alone c "$cc" "${header#src/}" -Isrc -Iinclude "${hiredis[@]}" -D_GNU_SOURCE \
        "${warnings[@]}" -Wno-unused-function -std=c11
done < <(find src -name '*.h' 2>/dev/null | sort)

[ "$findings" -eq 0 ] && echo "check_headers: $checked compilations, each header stands alone"
[ "$findings" -eq 0 ]
