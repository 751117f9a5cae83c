#!/usr/bin/env bash
# tests/sh/checks.sh - do the checks of scripts/ find what they are for?
#
# Each case is a small tree with one thing wrong in it and the words the check must say about it;
# before them comes a tree with nothing wrong. Prints ok and not ok lines.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# fresh: a tree that all checks are content with.
fresh() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/{scripts,include/nearkv,src/{base,core,io,client,cli},tests/unit}
    cp scripts/*.awk scripts/check_*.sh "$tree/scripts/"
    printf '/* nearkv/a.h - a header. */\n#ifndef A\n#define NKV_A 1\n#endif\n' >"$tree/include/nearkv/a.h"
    printf '/* base/a.h - a header. */\nint nkvi_a(void);\n' >"$tree/src/base/a.h"
    printf '/* base/a.c - code; strcpy( in a comment is none. */\n#include "base/a.h"\n\n' >"$tree/src/base/a.c"
    printf 'int nkvi_a(void)\n{\n    return "free(" != 0;\n}\n' >>"$tree/src/base/a.c"
}

# put FILE TEXT: adds a file, or lines to one.
put() {
    [ -f "$tree/$1" ] || case $1 in src/*) echo "/* ${1#src/} - a file. */" >"$tree/$1" ;; esac
    printf '%b\n' "$2" >>"$tree/$1"
}

# finds CHECK TEXT: the check fails and says so.
finds() {
    local out
    if out=$("$tree/scripts/check_$1.sh" 2>&1); then
        echo "not ok - check_$1 passes what it should find: $2"
    elif grep -qF -- "$2" <<<"$out"; then
        echo "ok - check_$1: $2"
    else
        echo "not ok - check_$1 does not say: $2"
        echo "    ${out//$'\n'/$'\n'    }"
    fi
    fresh
}

fresh
for check in layers sizes headers style; do
    if out=$("$tree/scripts/check_$check.sh" 2>&1); then
        echo "ok - check_$check is content with nothing wrong"
    else
        echo "not ok - check_$check finds something in a tree with nothing wrong:"
        echo "    ${out//$'\n'/$'\n'    }"
    fi
done

put src/base/b.c '#include "core/c.h"'
finds layers 'base (level 0) includes core (level 1)'
put src/core/b.c '#include <hiredis/hiredis.h>'
finds layers 'only src/io may include <hiredis/hiredis.h>'
put src/cli/b.c '#include "client/c.h"'
finds layers 'the command uses public headers only'
put src/client/b.c '#include <jansson.h>'
finds layers 'only src/cli may include <jansson.h>'
mkdir "$tree/src/cellar" && put src/cellar/b.c '#include "base/a.h"'
finds layers 'src/cellar is not in the table'
put src/core/b.c 'long f(void)\n{\n    return time(0);\n}'
finds layers 'core has no I/O and no clock'
put src/client/a.c '' && rm "$tree/src/base/a.c" && put src/core/b.c '#include <nearkv/a.h>'
finds layers '<nearkv/a.h> belongs to a room above core'

put src/base/b.c "$(seq -f '/* %g */' 801)"
finds sizes '802 lines, 800 at most'
put src/base/b.c "int f(void)\n{\n$(printf '    f();\\n%.0s' $(seq 70))}"
finds sizes 'f has 73 lines, 70 at most'
put src/base/b.c 'int f(int a, int b, int c,\n      int d, int (*e)(int, int), int g, int h)\n{\n}'
finds sizes 'f has 7 parameters, 6 at most'
put scripts/size_exceptions.txt 'src/base/a.c it was long once'
finds sizes 'needs no exception any more'
if command -v pmccabe >/dev/null; then
    put src/base/b.c "int f(int a)\n{\n$(printf '    if (a) { a++; }\\n%.0s' $(seq 16))}"
    finds sizes 'f has complexity 17, 15 at most'
fi

if command -v "${CC:-gcc}" >/dev/null; then
    put include/nearkv/b.h '/* nearkv/b.h - b. */\nsize_t nkv_f(void);'
    finds headers 'does not compile alone as -std=c11'
fi

put src/base/b.c 'int a; // b'
finds style 'comments are /* */ only'
put src/base/b.c 'void f(char *a)\n{\n    strcpy(a, a);\n}'
finds style 'no bound is given'
put src/base/b.c 'void f(char *a)\n{\n    free(a);\n}'
finds style 'memory goes through base/mem.h'
put src/base/b.c 'void f(int a)\n{\n    if (a)\n        f(a);\n}'
finds style 'stands in braces'
put src/base/b.c 'void f(void)\n{\n    abort();\n}'
finds style 'a library must not end its program'
put src/base/b.c 'void f(void)\n{\n    fprintf(stderr, "x");\n}'
finds style 'does not write to the terminal'
put src/cli/b.c 'void f(const struct o *o)\n{\n    printf("%s", o->password);\n}'
finds style 'a secret must not reach'
put include/nearkv/a.h '#define LIMIT 1'
finds style 'public macros begin with NKV_'
put tests/unit/b.c 'void f(void)\n{\n    usleep(1);\n}'
finds style 'a test does not wait'
put tests/unit/b.c 'void f(int a)\n{\n    assert(a);\n}'
finds style 'assert() is empty in the release profile'
put src/base/b.c "/* TO""DO: later */"
finds style 'the source holds no plans'
put scripts/x "curl http://deb.deb""ian.org/"
finds style 'names no host of a package registry'
put src/base/a.h "$(printf '/* %0110d */' 0)"
finds style 'longer than 100 columns'
put src/base/b.c '#include <uthash.h>' && put src/core/c.c '#include <uthash.h>'
finds style 'one wrapper only'
