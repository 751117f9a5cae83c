# Makefile - builds libnearkv and the nearkv command, runs the tests, installs.
#
#   make                     library, command and examples in build/release/
#   make test                every kind of test;  make test T='core_cache/*' some of them
#   make PROFILE=asan test   the same under another profile
#   make help                all targets
#
# Sources are found by wildcard, so a new file or a new room below src/ needs no edit here:
#
#   src/<room>/**.c  (all but src/cli) --> libnearkv.a, libnearkv.so
#   src/cli/**.c                       --> nearkv, linked with libnearkv.a
#   tests/support/*.c                  --> an archive that every test may draw from
#   tests/<kind>/**/*.c                --> one Criterion program for each of unit model oom fake live
#   tests/stress/*.c                   --> a plain program each
#   tests/helpers/*.c                  --> a program each, for tests/sh
#   tests/fuzz/fuzz_*.c                --> a libFuzzer program (PROFILE=fuzz) or a replay of its corpus
#   examples/*.c  bench/bench_*.c      --> a program each
#
# Variables: PROFILE CC CFLAGS CPPFLAGS LDFLAGS (added to ours) WERROR=0 V=1 T KINDS F S PREFIX DESTDIR

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

comma := ,

# ---- Profiles ---------------------------------------------------------------------------------

PROFILES := release debug asan ubsan tsan valgrind coverage fuzz
PROFILE ?= release
ifeq ($(filter $(PROFILE),$(PROFILES)),)
$(error PROFILE=$(PROFILE) is unknown; one of: $(PROFILES))
endif
B := build/$(PROFILE)

ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(PROFILE)),clang,gcc)
endif
CXX ?= g++
AR ?= ar
OBJCOPY ?= objcopy
PKG_CONFIG ?= pkg-config
V ?= 0

# A warning is an error with the compilers that CI knows. Later ones warn of more, and that must not
# keep anybody from building.
is_clang := $(findstring clang,$(shell $(CC) --version 2>/dev/null))
cc_major := $(firstword $(subst ., ,$(shell $(CC) -dumpversion 2>/dev/null)))
WERROR ?= $(if $(filter $(if $(is_clang),14 19,12 14),$(cc_major)),1,0)

frame := -fno-omit-frame-pointer
profile_release := -O2 -g -DNDEBUG
profile_debug := -O0 -g3 $(frame)
profile_asan := -O1 -g $(frame) -fsanitize=address,undefined -fno-sanitize-recover=all
profile_ubsan := -O1 -g $(frame) -fsanitize=undefined -fno-sanitize-recover=all
profile_tsan := -O1 -g $(frame) -fsanitize=thread
profile_valgrind := -O1 -g $(frame)
profile_coverage := -O0 -g --coverage
profile_fuzz := -O1 -g $(frame) -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
profile_flags := $(profile_$(PROFILE))
sanitized := $(filter asan ubsan tsan fuzz,$(PROFILE))

# ---- Version: written once, in the public header ------------------------------------------------

version_h := include/nearkv/version.h
version_of = $(or $(shell awk '$$2 == "NKV_VERSION_$(1)" { print $$3; exit }' $(version_h) 2>/dev/null),0)
MAJOR := $(call version_of,MAJOR)
VERSION := $(MAJOR).$(call version_of,MINOR).$(call version_of,PATCH)

# ---- What we build on ---------------------------------------------------------------------------

# hiredis: our own copy in deps/ (scripts/setup makes it where the system's is older than 1.1) is
# linked statically, so that nothing installed depends on deps/; else the system's shared one.
HIREDIS_MIN := 1.1
ifneq ($(wildcard deps/lib/libhiredis.a),)
HIREDIS_CFLAGS := -isystem deps/include
HIREDIS_ARCHIVE := deps/lib/libhiredis.a
HIREDIS_LIBS := $(HIREDIS_ARCHIVE)
hiredis_found := yes
else
hiredis_found := $(shell $(PKG_CONFIG) --atleast-version=$(HIREDIS_MIN) hiredis 2>/dev/null && echo yes)
HIREDIS_CFLAGS := $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags hiredis 2>/dev/null))
HIREDIS_ARCHIVE :=
HIREDIS_LIBS := $(or $(shell $(PKG_CONFIG) --libs hiredis 2>/dev/null),-lhiredis)
endif

warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Wundef
ifneq ($(WERROR),0)
warnings += -Werror
endif

our_cppflags := -D_GNU_SOURCE -Iinclude -Isrc $(HIREDIS_CFLAGS)
our_cflags := -std=c11 $(profile_flags) -fPIC -fvisibility=hidden -pthread $(warnings)
our_ldflags := $(profile_flags) -pthread
LIB_LIBS := $(HIREDIS_LIBS) -lev -lcrypto -lzstd -lm

# Criterion's macros leave a variadic part empty, which clang calls an extension where they are used.
test_cppflags := -Itests -I. $(if $(is_clang),-Wno-gnu-zero-variadic-macro-arguments)

compile = $(CC) $(our_cppflags) $(CPPFLAGS) $(our_cflags) $(1) $(CFLAGS) -MMD -MP -c $< -o $@
link = $(CC) $(our_ldflags) $(1) $(CFLAGS) $(LDFLAGS) -o $@

# One short line for each step; V=1 shows the commands.
ifeq ($(V),0)
Q := @
say = @printf '  %-8s %s\n' '$(1)' '$(2)'
else
Q :=
say = @:
endif

# ---- Sources ------------------------------------------------------------------------------------

find_c = $(sort $(shell find $(1) -name '*.c' 2>/dev/null))
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))

lib_src := $(filter-out src/cli/%,$(call find_c,src))
cli_src := $(call find_c,src/cli)
support_src := $(call find_c,tests/support)
CRITERION_KINDS := unit model oom fake live
$(foreach k,$(CRITERION_KINDS),$(eval $(k)_src := $(call find_c,tests/$(k))))
criterion_kinds := $(foreach k,$(CRITERION_KINDS),$(if $($(k)_src),$(k)))
stress_src := $(sort $(wildcard tests/stress/*.c))
helper_src := $(sort $(wildcard tests/helpers/*.c))
fuzz_src := $(sort $(wildcard tests/fuzz/fuzz_*.c))
example_src := $(sort $(wildcard examples/*.c))
bench_src := $(sort $(wildcard bench/bench_*.c))
bench_help_src := $(filter-out $(bench_src),$(sort $(wildcard bench/*.c)))
tool_src := $(sort $(wildcard scripts/gen_*.c))

lib_obj := $(call objects,$(lib_src))
cli_obj := $(call objects,$(cli_src))
support_obj := $(call objects,$(support_src))

ARCHIVE := $(B)/obj/libnearkv_all.a
STATIC := $(B)/libnearkv.a
SONAME := libnearkv.so.$(MAJOR)
SHARED := $(B)/libnearkv.so.$(VERSION)
# What tests may draw from: their helpers, and the command without its main().
SUPPORT := $(if $(support_src),$(B)/obj/libsupport.a) $(if $(cli_src),$(B)/obj/libcli.a)
CLI := $(if $(cli_src),$(B)/nearkv)

kind_bins := $(criterion_kinds:%=$(B)/tests/%)
stress_bins := $(patsubst tests/stress/%.c,$(B)/stress/%,$(stress_src))
helper_bins := $(patsubst tests/helpers/%.c,$(B)/helpers/%,$(helper_src))
fuzz_bins := $(patsubst tests/fuzz/fuzz_%.c,$(B)/fuzz/%,$(fuzz_src))
example_bins := $(patsubst examples/%.c,$(B)/examples/%,$(example_src))
bench_bins := $(patsubst bench/%.c,$(B)/bench/%,$(bench_src))
tool_bins := $(patsubst scripts/%.c,$(B)/tools/%,$(tool_src))

.PHONY: all lib cli examples tests-build bench-build tools
all: lib cli examples
lib: $(if $(lib_src),$(STATIC) $(B)/libnearkv.so)
cli: $(CLI)
examples: $(example_bins)
tests-build: $(kind_bins) $(stress_bins) $(helper_bins) $(fuzz_bins)
bench-build: $(bench_bins)
tools: $(tool_bins)

# ---- Objects ------------------------------------------------------------------------------------

# A changed compiler or flag rebuilds everything; a removed source rebuilds what it was part of.
# The files change only if their text does, so an ordinary run does nothing.
keep = $(shell mkdir -p $(dir $(1)); printf '%s\n' '$(2)' | cmp -s - $(1) || printf '%s\n' '$(2)' >$(1))
ifneq ($(filter-out clean help uninstall dist lint%,$(or $(MAKECMDGOALS),all)),)
ignored := $(call keep,$(B)/obj/flags,$(CC) $(our_cppflags) $(CPPFLAGS) $(our_cflags) $(CFLAGS) $(LDFLAGS))
ignored := $(call keep,$(B)/obj/lib.list,$(lib_src))
ignored := $(call keep,$(B)/obj/cli.list,$(cli_src))
ignored := $(call keep,$(B)/obj/support.list,$(support_src))
ignored := $(foreach k,$(CRITERION_KINDS),$(call keep,$(B)/obj/$(k).list,$($(k)_src)))
endif

.PHONY: need-deps
need-deps:
ifneq ($(hiredis_found),yes)
	@echo "nearkv needs hiredis >= $(HIREDIS_MIN) (and pkg-config to find it): run scripts/setup" >&2; exit 1
endif

$(B)/obj/tests/%.o: tests/%.c $(B)/obj/flags | need-deps
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(call compile,$(test_cppflags))

$(B)/obj/bench/%.o: bench/%.c $(B)/obj/flags | need-deps
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(call compile,$(test_cppflags))

$(B)/obj/%.o: %.c $(B)/obj/flags | need-deps
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(call compile,)

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# ---- The library and the command ----------------------------------------------------------------

# All objects as they are: tests reach internal functions through it. Whatever is linked with it is
# linked with hiredis too, so a new hiredis makes it new.
$(ARCHIVE): $(lib_obj) $(B)/obj/lib.list $(HIREDIS_ARCHIVE)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(lib_obj)

$(B)/obj/libsupport.a: $(support_obj) $(B)/obj/support.list
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(support_obj)

$(B)/obj/libcli.a: $(filter-out %/main.o,$(cli_obj)) $(B)/obj/cli.list
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter-out %/main.o,$(cli_obj))

# What is installed: one object, in which only nkv_* can be seen. A hiredis from deps/ is folded in
# and hidden, so it cannot clash with the program's own. Instrumented objects are left as they are.
ifeq ($(filter release debug valgrind,$(PROFILE)),)
$(STATIC): $(ARCHIVE)
	$(Q)cp $< $@
else
$(STATIC): $(lib_obj) $(B)/obj/lib.list $(HIREDIS_ARCHIVE)
	$(call say,AR,$@)
	$(Q)$(CC) -r -nostdlib -o $(B)/obj/nearkv_all.o $(lib_obj) $(HIREDIS_ARCHIVE)
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='nkv_*' $(B)/obj/nearkv_all.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(B)/obj/nearkv_all.o
endif

$(SHARED): $(lib_obj) $(B)/obj/lib.list src/nearkv.map $(HIREDIS_ARCHIVE)
	$(call say,LD,$@)
	$(Q)$(call link,-shared) -Wl,-soname,$(SONAME) -Wl,--version-script=src/nearkv.map \
	    $(if $(sanitized),,-Wl,-z$(comma)defs) $(lib_obj) $(LIB_LIBS)

$(B)/libnearkv.so: $(SHARED)
	$(Q)ln -sf $(notdir $(SHARED)) $(B)/$(SONAME) && ln -sf $(SONAME) $@

$(B)/nearkv: $(cli_obj) $(B)/obj/cli.list $(STATIC)
	$(call say,LD,$@)
	$(Q)$(call link,) $(cli_obj) $(STATIC) $(LIB_LIBS) -ljansson -ledit

$(B)/examples/%: $(B)/obj/examples/%.o $(STATIC)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call link,) $< $(STATIC) $(LIB_LIBS)

# ---- Tests --------------------------------------------------------------------------------------

# BoxFort, below Criterion, asks rand_r() for an address that ThreadSanitizer cannot map.
tsan_shim := $(if $(filter tsan,$(PROFILE)),$(B)/obj/tests/harness/tsan_shim.o)
# A report names the test that it is about: see the file.
blame := $(if $(sanitized),$(B)/obj/tests/harness/blame.o)
test_libs := $(SUPPORT) $(ARCHIVE) $(LIB_LIBS) -ljansson

define kind_rule
$$(B)/tests/$(1): $$(call objects,$$($(1)_src)) $$(B)/obj/$(1).list $$(SUPPORT) $$(ARCHIVE) $$(tsan_shim) $$(blame)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(call link,-Wl$$(comma)--export-dynamic-symbol=rand_r) $$(filter %.o,$$^) $$(test_libs) \
	    $$(if $$(blame),-Wl$$(comma)--wrap=criterion_internal_test_main) -lcriterion
endef
$(foreach k,$(criterion_kinds),$(eval $(call kind_rule,$(k))))

$(B)/stress/%: $(B)/obj/tests/stress/%.o $(SUPPORT) $(ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call link,) $< $(test_libs) -Wl,--as-needed -lcriterion

$(B)/helpers/%: $(B)/obj/tests/helpers/%.o $(SUPPORT) $(ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call link,) $< $(test_libs) -Wl,--as-needed -lcriterion

ifeq ($(PROFILE),fuzz)
$(B)/fuzz/%: $(B)/obj/tests/fuzz/fuzz_%.o $(SUPPORT) $(ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call link,-fsanitize=fuzzer) $< $(test_libs)
else
$(B)/fuzz/%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/harness/fuzz_replay.o $(SUPPORT) $(ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call link,) $< $(B)/obj/tests/harness/fuzz_replay.o $(test_libs)
endif

T ?=
KINDS ?= unit model oom fake live stress fuzz sh
run_tests = PROFILE=$(PROFILE) BUILD=$(B) scripts/run_tests

.PHONY: test test-unit test-model test-oom test-fake test-live test-stress
test: cli examples tests-build
	@$(run_tests) $(if $(T),--filter '$(T)') $(KINDS)

test-unit test-model test-oom test-fake: test-%: $(B)/tests/%
	@$(run_tests) $(if $(T),--filter '$(T)') $*
test-live: cli $(B)/tests/live
	@$(run_tests) $(if $(T),--filter '$(T)') live
test-stress: $(stress_bins)
	@$(run_tests) $(if $(T),--filter '$(T)') stress

.PHONY: asan ubsan tsan valgrind
asan:
	@$(MAKE) --no-print-directory PROFILE=asan test KINDS='unit model oom fake live stress fuzz sh'
ubsan:
	@$(MAKE) --no-print-directory PROFILE=ubsan test KINDS='unit model oom fake live fuzz'
tsan:
	@$(MAKE) --no-print-directory PROFILE=tsan test KINDS='unit fake live stress'
valgrind:
	@$(MAKE) --no-print-directory PROFILE=valgrind test KINDS='unit model oom fake fuzz'

# make fuzz: every target for S seconds; make fuzz F=push S=60: one of them.
F ?=
S ?= 20
.PHONY: fuzz fuzz-build
fuzz:
	@$(MAKE) --no-print-directory PROFILE=fuzz fuzz-build
	@BUILD=build/fuzz scripts/run_fuzz $(S) $(or $(F),$(notdir $(fuzz_bins)))
fuzz-build: $(fuzz_bins)

# ---- Benches ------------------------------------------------------------------------------------

bench_help_obj := $(call objects,$(bench_help_src))
$(B)/bench/%: $(B)/obj/bench/%.o $(bench_help_obj) $(SUPPORT) $(ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call link,) $< $(bench_help_obj) $(test_libs)

BENCH_ARGS ?=
bench_names := $(patsubst bench/bench_%.c,%,$(bench_src))
.PHONY: bench bench-diff $(bench_names:%=bench-%)
bench: bench-build
	@BUILD=$(B) scripts/run_bench $(bench_names) -- $(BENCH_ARGS)
$(bench_names:%=bench-%): bench-%: $(B)/bench/bench_%
	@BUILD=$(B) scripts/run_bench $* -- $(BENCH_ARGS)

$(B)/tools/%: $(B)/obj/scripts/%.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(call link,) $< $(ARCHIVE) $(LIB_LIBS)

bench-diff: A ?= build/bench-before
bench-diff: NEW ?= $(B)/bench-results
bench-diff: TOL ?= 10
bench-diff:
	@scripts/bench_diff '$(A)' '$(NEW)' '$(TOL)'

# ---- Coverage -----------------------------------------------------------------------------------

.PHONY: coverage coverage-report
coverage:
	@rm -rf build/coverage/obj/src/*.gcda; find build/coverage -name '*.gcda' -delete 2>/dev/null || :
	@$(MAKE) --no-print-directory PROFILE=coverage test
	@scripts/check_coverage build/coverage

# ---- Documents ----------------------------------------------------------------------------------

# docs/OPTIONS.md is made from the table that also parses and checks the options. The file changes
# only if the text does.
.PHONY: docs
docs: $(if $(wildcard scripts/gen_options.c),$(B)/tools/gen_options)
ifneq ($(wildcard scripts/gen_options.c),)
	@mkdir -p docs
	@$(B)/tools/gen_options >$(B)/OPTIONS.md
	@cmp -s $(B)/OPTIONS.md docs/OPTIONS.md || { cp $(B)/OPTIONS.md docs/OPTIONS.md; \
	    echo "docs/OPTIONS.md is new"; }
endif

# ---- Install ------------------------------------------------------------------------------------

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
INSTALL ?= install
public_headers := $(sort $(wildcard include/nearkv/*.h))

# Whoever links statically also needs what we link; a hiredis of ours is inside libnearkv.a.
.PHONY: pkgconfig install uninstall
pkgconfig: $(B)/nearkv.pc
$(B)/nearkv.pc: nearkv.pc.in $(version_h) FORCE
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
	    -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	    -e 's|@PRIVATE@|$(if $(HIREDIS_ARCHIVE),,$(HIREDIS_LIBS) )-lev -lcrypto -lzstd -lm -pthread|' $< >$@
.PHONY: FORCE
FORCE:

install: lib cli pkgconfig
	$(INSTALL) -d '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(INCLUDEDIR)/nearkv' '$(DESTDIR)$(BINDIR)'
	$(INSTALL) -m 644 $(public_headers) '$(DESTDIR)$(INCLUDEDIR)/nearkv/'
	$(INSTALL) -m 644 $(STATIC) '$(DESTDIR)$(LIBDIR)/libnearkv.a'
	$(INSTALL) -m 755 $(SHARED) '$(DESTDIR)$(LIBDIR)/'
	ln -sf libnearkv.so.$(VERSION) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libnearkv.so'
	$(INSTALL) -m 644 $(B)/nearkv.pc '$(DESTDIR)$(LIBDIR)/pkgconfig/nearkv.pc'
	$(if $(CLI),$(INSTALL) -m 755 $(CLI) '$(DESTDIR)$(BINDIR)/nearkv')
	@test -n '$(DESTDIR)' || echo "where $(LIBDIR) is one of the loader's folders, run ldconfig now"

uninstall:
	rm -f '$(DESTDIR)$(LIBDIR)'/libnearkv.a '$(DESTDIR)$(LIBDIR)'/libnearkv.so* \
	    '$(DESTDIR)$(LIBDIR)/pkgconfig/nearkv.pc' '$(DESTDIR)$(BINDIR)/nearkv'
	rm -f $(patsubst include/%,'$(DESTDIR)$(INCLUDEDIR)/%',$(public_headers))
	-rmdir '$(DESTDIR)$(INCLUDEDIR)/nearkv' 2>/dev/null

.PHONY: check-install abi dist
check-install: lib cli
	@MAKE='$(MAKE)' CC='$(CC)' CXX='$(CXX)' scripts/check_install

abi: lib
	@BUILD=$(B) VERSION=$(VERSION) SONAME=$(SONAME) MAKE='$(MAKE)' scripts/check_abi

dist:
	@mkdir -p build/dist
	git archive --prefix=nearkv-$(VERSION)/ -o build/dist/nearkv-$(VERSION).tar.gz HEAD
	@echo build/dist/nearkv-$(VERSION).tar.gz

# ---- Lint ---------------------------------------------------------------------------------------

lint_c := $(sort $(shell find src include tests bench examples scripts -name '*.[ch]' 2>/dev/null))
lint_jobs ?= $(shell nproc 2>/dev/null || echo 2)
.PHONY: lint lint-layers lint-sizes lint-headers lint-style lint-format lint-tidy lint-cppcheck
.PHONY: lint-spelling lint-shell lint-python lint-docs compile_commands.json
lint:
	@LINTS='layers sizes headers style format docs shell python spelling cppcheck tidy' \
	    MAKE='$(MAKE)' scripts/run_lints

lint-layers lint-sizes lint-headers lint-style: lint-%:
	@scripts/check_$*.sh

.PHONY: format
format:
	@clang-format -i $(lint_c)

# Versions differ in corners; one of them decides.
lint-format:
	@if clang-format --version | grep -q 'version 14\.'; then \
	    clang-format --dry-run --Werror $(lint_c); \
	else echo 'the format is that of clang-format 14, which this is not: left out'; fi

# Whole programs' worth of paths is looked at for each file, so unchanged files are not looked at again.
tidy_stamps := $(patsubst %.c,$(B)/tidy/%.ok,$(filter src/%.c examples/%.c,$(lint_c)))
lint-tidy:
	@$(MAKE) --no-print-directory -j$(lint_jobs) -k $(tidy_stamps)
$(B)/tidy/%.ok: %.c .clang-tidy $(filter %.h,$(lint_c))
	@mkdir -p $(@D)
	@clang-tidy --quiet --warnings-as-errors='*' $< -- $(our_cppflags) -std=c11 -pthread \
	    >$(@:.ok=.out) 2>&1 || { cat $(@:.ok=.out); exit 1; }
	@touch $@

lint-cppcheck:
	@cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --suppress=missingIncludeSystem --suppress=unknownMacro -j$(lint_jobs) \
	    -Iinclude -Isrc -D__GNUC__ -D_GNU_SOURCE --template='{file}:{line}: {message} [{id}]' src examples

lint-spelling:
	@codespell $(shell git ls-files 2>/dev/null | grep -v "^tests/fuzz/corpus/")

lint-shell:
	@shellcheck --external-sources $$(grep -lE '^#!.*(bash|sh)$$' scripts/* .ci/run tests/sh/*.sh 2>/dev/null)

# A warning of the compiler (an unknown escape, a comparison by `is`) counts as well.
lint_py := $(sort $(wildcard examples/lmcache/*.py tests/python/*.py))
lint-python:
	@mkdir -p $(B)/pycache
	@PYTHONPYCACHEPREFIX='$(CURDIR)/$(B)/pycache' python3 -W error -m py_compile $(lint_py)

lint-docs: docs
	@test -z "$$(git status --porcelain -- docs/OPTIONS.md)" || \
	    { echo "docs/OPTIONS.md is not what the option table says: commit the new one"; exit 1; }

# For editors and clangd.
compile_commands.json:
	@{ echo '['; sep=; for f in $(filter %.c,$(lint_c)); do \
	    printf '%s{"directory":"%s","file":"%s","command":"%s -c %s"}\n' "$$sep" '$(CURDIR)' "$$f" \
	    '$(CC) $(our_cppflags) -Itests -I. -std=c11 $(warnings)' "$$f"; sep=,; done; echo ']'; } >$@

# ---- Everything else ----------------------------------------------------------------------------

.PHONY: ci clean help
ci:
	@.ci/run

clean:
	rm -rf build

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile
	@echo 'all lib cli examples          build (PROFILE=release)'
	@echo 'test test-unit test-live ...  build and run tests; T=suite/test* picks some'
	@echo 'asan ubsan tsan valgrind      the tests under a checker'
	@echo 'fuzz F=name S=60              libFuzzer; without F every target for S seconds'
	@echo 'bench bench-NAME              run benches; BENCH_ARGS=... goes to the program'
	@echo 'bench-diff A=dir NEW=dir      compare two folders of results, tolerance TOL=10 %'
	@echo 'coverage                      tests, then lines reached; a floor that only rises'
	@echo 'lint                          every check; lint-layers lint-tidy ... one of them'
	@echo 'format                        clang-format all C files in place'
	@echo 'abi                           only nkv_* is shown; abidiff against the last tag'
	@echo 'docs                          docs/OPTIONS.md from the option table'
	@echo 'install uninstall pkgconfig   PREFIX=/usr/local DESTDIR=; check-install tries it out'
	@echo 'dist ci clean help'
