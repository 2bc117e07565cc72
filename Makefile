# SPDX-License-Identifier: MIT
#
# `make` builds build/ethercord; `make help` tells the rest. V=1 shows whole commands, CC=clang takes the other compiler,
# WERROR=1 turns warnings into errors, SANITIZE=address,undefined instruments; each build directory (BUILD=...) has its own objects.
# What is missing on a Debian system is installed first, by tests/deps.sh, which says so.

VERSION = 0.1.0

BUILD = build
PREFIX = /usr/local
DESTDIR =
SBINDIR = $(PREFIX)/sbin
DOCDIR = $(PREFIX)/share/doc/ethercord
MANDIR = $(PREFIX)/share/man
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
UNITDIR = $(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d

ifeq ($(origin CC),default)
CC = gcc
endif
PKG_CONFIG = pkg-config
GCOV = gcov
PACKAGES = libsodium libuv jansson libcap-ng libmnl libseccomp libmicrohttpd libpcap libsystemd

WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla $(if $(WERROR),-Werror)
# Stacks of threads are small and the frames of sanitizers and of tests are not, hence only here.
FRAME_LIMIT = $(if $(SANITIZE)$(COVERAGE),,-Wframe-larger-than=2048)
# tests/lint/hardening.test finds each of these in the program. -fcf-protection is for x86 alone.
HARDEN = -fPIE $(if $(SANITIZE)$(COVERAGE),,-fstack-protector-strong -fstack-clash-protection $(CF_PROTECTION) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDEN_LINK = -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
INSTRUMENT = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer $(if $(FUZZ),,-DPOOL_POISON)) $(if $(COVERAGE),--coverage -O0)

CFLAGS = -O2 -g
LANGUAGE = -std=c11 -D_GNU_SOURCE -DETHERCORD_VERSION='"$(VERSION)"' -Iinclude
ALL_CFLAGS = $(LANGUAGE) $(CPPFLAGS) $(CFLAGS) $(WARNINGS) $(HARDEN) $(INSTRUMENT) $(PKG_CFLAGS) -pthread
ALL_LDFLAGS = $(HARDEN_LINK) $(INSTRUMENT) $(LDFLAGS)

# Asked once, and not before the packages are there: each of these replaces itself by its value at its first use.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(call ask_pkg_config,--cflags))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(call ask_pkg_config,--libs))$(PKG_LIBS)
CF_PROTECTION = $(eval CF_PROTECTION := $$(call ask_compiler,-fcf-protection=full))$(CF_PROTECTION)
ask_compiler = $(shell $(CC) $(1) -Werror -fsyntax-only -x c /dev/null >/dev/null 2>&1 && echo $(1))
ask_pkg_config = $(shell $(PKG_CONFIG) $(1) $(PACKAGES) || echo PKG_CONFIG_FAILED)

SOURCES := $(sort $(wildcard src/*/*.c))
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
MAIN_OBJECT := $(BUILD)/obj/cli/main.o
TABLES_OBJECT := $(BUILD)/obj/cli/tables.o
PAGE_OBJECT := $(BUILD)/obj/page_html.o
LIB := $(BUILD)/libethercord.a
PROGRAM := $(BUILD)/ethercord
TABLES := $(BUILD)/tables
MAN_PAGES := $(BUILD)/man/ethercord.8 $(BUILD)/man/ethercord.conf.5
COMPLETIONS := $(addprefix $(BUILD)/completion/ethercord.,bash zsh fish)

UNIT_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
SIM_SOURCES := $(sort $(wildcard tests/sim/test_*.c))
SIM_HELPERS := $(patsubst tests/sim/%.c,$(BUILD)/obj/sim/%.o,$(filter-out $(SIM_SOURCES),$(sort $(wildcard tests/sim/*.c))))
UNIT_TESTS := $(UNIT_SOURCES:%.c=$(BUILD)/%)
SIM_TESTS := $(SIM_SOURCES:%.c=$(BUILD)/%)
LINT_TESTS := $(sort $(wildcard tests/lint/*.test))
# What a sanitizer says is looked for where there is one.
NETNS_TESTS := $(sort $(filter-out $(if $(SANITIZE),,tests/netns/sanitized.test),$(wildcard tests/netns/*.test)))
FUZZ_TARGETS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_TEST := tests/fuzz/fuzz.test
FUZZ_S = 30
BENCH_TOOLS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/bench/*.c)))

Q = $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')
again = +$(Q)$(MAKE) --no-print-directory
# What the tests are told: absolute paths, and the flags for those that call compilers themselves.
TEST_ENV = BUILD=$(abspath $(BUILD)) ETHERCORD=$(abspath $(PROGRAM)) ETHERCORD_TESTS=$(abspath tests) \
    ETHERCORD_CFLAGS='$(LANGUAGE) $(CPPFLAGS) $(filter-out -Werror,$(WARNINGS)) -Werror $(PKG_CFLAGS)' \
    ETHERCORD_CC='$(CC)' ETHERCORD_HARDEN='$(HARDEN)' ETHERCORD_HARDEN_LINK='$(HARDEN_LINK)'
# Address-space randomisation of new kernels leaves no room for the sanitizers' shadow memory.
RUN_TESTS = $(Q)$(TEST_ENV) $(if $(SANITIZE),TEST_TIMEOUT=$${TEST_TIMEOUT:-1800} setarch -R) tests/run

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: FORCE all man completion deps deps-build deps-test deps-bench programs check check-built check-full check-unit check-unit-built lint netns demo \
    fuzz fuzz-cov fuzz-programs fuzz-targets bench bench-report asan asan-netns tsan tsan-netns ubsan valgrind portable cov cov-report format format-check cppcheck tidy analyze hardening install install-built uninstall dist clean help

all: $(PROGRAM) man completion ## build build/ethercord, its manual pages and completions (the default)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

deps: ## install the Debian packages that are missing, for building and for testing
	@tests/deps.sh build test

deps-build:
	@tests/deps.sh build

deps-test: deps-build
	@tests/deps.sh test

deps-bench: deps-build
	@tests/deps.sh bench

# Files that hold what the targets were made with and change only when that does.
define write_if_changed
@mkdir -p $(@D)
@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' >$@
endef

# Stops with a clear message where the environment can't compile; the rest depends on it.
$(BUILD)/flags: FORCE | deps-build
	@command -v $(firstword $(CC)) >/dev/null || { echo "make: there is no compiler '$(CC)'; set CC" >&2; exit 1; }
	@$(if $(findstring PKG_CONFIG_FAILED,$(PKG_CFLAGS)),echo "make: $(PKG_CONFIG) does not find all of: $(PACKAGES)" >&2; exit 1,:)
	$(call write_if_changed,$(CC) $(ALL_CFLAGS) $(FRAME_LIMIT) $(ALL_LDFLAGS))

$(BUILD)/objects: FORCE
	$(call write_if_changed,$(OBJECTS) $(SIM_HELPERS))

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(FRAME_LIMIT) -MMD -MP -c -o $@ $<

$(BUILD)/obj/sim/%.o: tests/sim/%.c $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The status page goes into the program as bytes, ended by a NUL.
$(BUILD)/obj/page_html.c: src/web/page.html
	@mkdir -p $(@D)
	$(Q){ echo 'extern const unsigned char page_html[];'; echo 'const unsigned char page_html[] = {'; od -An -v -tu1 $< | sed 's/  */,/g; s/^,//; s/$$/,/'; echo '0};'; } >$@

$(PAGE_OBJECT): $(BUILD)/obj/page_html.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(LIB): $(filter-out $(MAIN_OBJECT) $(TABLES_OBJECT),$(OBJECTS)) $(PAGE_OBJECT) $(BUILD)/objects
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

$(PROGRAM): $(MAIN_OBJECT) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -pthread -o $@ $^ $(PKG_LIBS)

# Manual pages and completions come from the tables of the program: src/manual. The date in a page is that of the sources.
$(TABLES): $(TABLES_OBJECT) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -pthread -o $@ $^ $(PKG_LIBS)

$(BUILD)/tables.txt: $(TABLES)
	$(Q)$(if $(SANITIZE),setarch -R) $(abspath $(TABLES)) >$@

$(BUILD)/docdir: FORCE
	$(call write_if_changed,$(DOCDIR))

fill = awk -f src/manual/tables.awk -f src/manual/$(1).awk $(BUILD)/tables.txt docs/configuration.md $(2) $(2)
source_date = $${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Makefile)}

$(BUILD)/man/%: src/manual/%.scd $(BUILD)/tables.txt $(BUILD)/docdir docs/configuration.md $(wildcard src/manual/*.awk)
	$(call say,MAN,$@)
	@mkdir -p $(@D)
	$(Q)$(call fill,man,$<) >$@.scd
	$(Q)sed -i 's|DOCDIR|$(DOCDIR)|' $@.scd
	$(Q)SOURCE_DATE_EPOCH=$(source_date) scdoc <$@.scd >$@.roff
	$(Q)awk -f src/manual/clean.awk $@.roff >$@

$(BUILD)/completion/ethercord.%: src/manual/completion.% src/manual/%.awk src/manual/tables.awk $(BUILD)/tables.txt
	$(call say,COMPL,$@)
	@mkdir -p $(@D)
	$(Q)$(call fill,$*,$<) >$@

man: $(MAN_PAGES) ## only the manual pages, in build/man

completion: $(COMPLETIONS) ## only the completions for bash, zsh and fish, in build/completion

# The path below tests/ stays, so that a program's name tells its source.
$(BUILD)/tests/unit/%: tests/unit/%.c $(LIB) $(BUILD)/flags | deps-test
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(LIB) $(PKG_LIBS) -lcmocka

$(BUILD)/tests/sim/%: tests/sim/%.c $(SIM_HELPERS) $(LIB) $(BUILD)/flags $(BUILD)/objects | deps-test
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(SIM_HELPERS) $(LIB) $(PKG_LIBS) -lcmocka

$(BUILD)/obj/fuzz/%.o: tests/fuzz/%.c $(BUILD)/flags | deps-test
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# This one is the kernel to the devices.
$(BUILD)/tests/fuzz/fuzz_devices: WRAP = $(addprefix -Wl$(comma)--wrap=,open ioctl readv writev recvmmsg recvmsg sendmmsg sendmsg getsockopt)
comma = ,

# Only with FUZZ=1, by clang: libFuzzer has a main() of its own.
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/fuzz/%.o $(SIM_HELPERS) $(LIB) $(BUILD)/objects
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -pthread $(WRAP) -fsanitize=fuzzer -o $@ $< $(SIM_HELPERS) $(LIB) $(PKG_LIBS) -lcmocka

$(BUILD)/tests/bench/%: tests/bench/%.c $(BUILD)/flags
	$(call say,TOOL,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $<

-include $(OBJECTS:.o=.d) $(SIM_HELPERS:.o=.d) $(UNIT_TESTS:=.d) $(SIM_TESTS:=.d) $(FUZZ_TARGETS:$(BUILD)/tests/%=$(BUILD)/obj/%.d) $(BENCH_TOOLS:=.d)

programs: $(PROGRAM) $(UNIT_TESTS) $(SIM_TESTS) | deps-test

check: ## build with warnings as errors and run all tests: unit, sim, lint, netns (these need root)
	$(again) WERROR=1 check-built

check-built: programs man completion fuzz-programs
	$(RUN_TESTS) $(UNIT_TESTS) $(SIM_TESTS) $(LINT_TESTS) $(NETNS_TESTS) $(FUZZ_TEST)

check-full: ## the same with whole products of parameters; takes long
	+$(Q)ETHERCORD_FULL=1 $(MAKE) --no-print-directory check

check-unit: ## only the unit tests and the simulations
	$(again) check-unit-built

check-unit-built: $(UNIT_TESTS) $(SIM_TESTS)
	$(RUN_TESTS) $(UNIT_TESTS) $(SIM_TESTS)

lint: $(PROGRAM) man completion | deps-test ## only the checks of the source
	$(RUN_TESTS) $(LINT_TESTS)

netns: $(PROGRAM) completion | deps-test ## only the tests in network namespaces (as root)
	$(RUN_TESTS) $(NETNS_TESTS)

demo: $(PROGRAM) | deps-test ## join two networks in namespaces and ping through the cord (as root)
	@[ "$$(id -u)" -eq 0 ] || { echo "make demo: network namespaces need root; use: sudo make demo" >&2; exit 1; }
	$(Q)$(TEST_ENV) tests/netns/demo.sh

# The targets have a build directory of their own: another compiler, and everything instrumented. -O1: it compiles in half the time.
fuzz-programs: | deps-test
	$(again) BUILD=$(BUILD)/fuzz FUZZ=1 CC=clang CFLAGS='-O1 -g' SANITIZE=fuzzer-no-link,address,undefined fuzz-targets

fuzz-targets: $(FUZZ_TARGETS)

fuzz: fuzz-programs ## feed every parser with what nobody would send, FUZZ_S=30 seconds each (libFuzzer, ASan, UBSan)
	$(Q)$(TEST_ENV) FUZZ_S=$(FUZZ_S) $(FUZZ_TEST)

fuzz-cov: | deps-test ## how many lines of each source the corpora of the fuzz targets run, in build/fuzz-cov
	$(again) BUILD=$(BUILD)/fuzz-cov FUZZ=1 CC=clang COVERAGE=1 fuzz-targets
	$(Q)$(TEST_ENV) FUZZ_BUILD=$(abspath $(BUILD))/fuzz-cov tests/fuzz/replay
	$(again) BUILD=$(BUILD)/fuzz-cov CC=clang COVERAGE=1 GCOV='llvm-cov gcov' cov-report

bench: $(PROGRAM) $(BENCH_TOOLS) | deps-bench ## measure against other tunnels (as root; over an hour; subsets: tests/bench/bench.sh)
	@[ "$$(id -u)" -eq 0 ] || { echo "make bench: network namespaces need root; use: sudo make bench" >&2; exit 1; }
	$(Q)$(TEST_ENV) tests/bench/bench.sh

bench-report: | deps-bench ## put what bench has found into docs/benchmarks.md, with its plots
	$(Q)tests/bench/report.py $(or $(OUT),$(BUILD)/bench/bench.json) --docs docs/benchmarks.md

asan: ## unit tests and simulations with AddressSanitizer and UBSan, in build/asan
	$(again) BUILD=$(BUILD)/asan SANITIZE=address,undefined check-unit-built

tsan: ## the same with ThreadSanitizer, in build/tsan
	$(again) BUILD=$(BUILD)/tsan SANITIZE=thread check-unit-built

ubsan: ## the same with UBSan alone, by clang, in build/ubsan
	$(again) BUILD=$(BUILD)/ubsan CC=clang SANITIZE=undefined check-unit-built

asan-netns: ## the tests in network namespaces with AddressSanitizer and UBSan in the nodes (as root; over an hour)
	$(again) BUILD=$(BUILD)/asan SANITIZE=address,undefined netns

tsan-netns: ## the same with ThreadSanitizer
	$(again) BUILD=$(BUILD)/tsan SANITIZE=thread netns

portable: ## layers 0 to 2 and their unit tests for i386 and for s390x (big-endian, by qemu-user); installs cross compilers
	+$(Q)BUILD=$(abspath $(BUILD)) tests/portable.sh i386 s390x

valgrind: $(UNIT_TESTS) | deps-test ## unit tests under valgrind
	$(Q)TEST_TIMEOUT=1800 TEST_WRAPPER='valgrind --quiet --leak-check=full --error-exitcode=99' $(TEST_ENV) tests/run $(UNIT_TESTS)

cov: ## how many lines of each source the unit tests and simulations run, in build/cov
	$(again) BUILD=$(BUILD)/cov COVERAGE=1 CC=gcc check-unit-built
	$(again) BUILD=$(BUILD)/cov COVERAGE=1 CC=gcc cov-report

cov-report:
	@$(GCOV) --no-output $(OBJECTS) 2>/dev/null | awk -F "['%:]" '/^File/ { f = $$2 } \
	    /^Lines executed/ && f ~ /^src\// { print $$2 "% " f; f = "" }' | sort -n

format: | deps-test ## lay out all C sources by .clang-format
	$(Q)clang-format -i $(wildcard src/*/*.[ch] include/*/*.h tests/*/*.[ch])

format-check: | deps-test ## tell where `make format` would change something
	$(RUN_TESTS) tests/lint/format.test

cppcheck: | deps-test ## only cppcheck
	$(RUN_TESTS) tests/lint/cppcheck.test

tidy: | deps-test ## only clang-tidy, its slow checks (clang-analyzer-*) too; takes minutes
	$(Q)ETHERCORD_FULL=1 $(TEST_ENV) tests/run tests/lint/tidy.test

analyze: | deps-test ## only gcc's own analyser
	$(RUN_TESTS) tests/lint/analyze.test

hardening: $(PROGRAM) | deps-test ## only the look at how the program was hardened
	$(RUN_TESTS) tests/lint/hardening.test

install: $(PROGRAM) $(MAN_PAGES) $(COMPLETIONS) ## install below PREFIX (/usr/local), in DESTDIR if given
	$(again) install-built

# Puts there what was built, and builds nothing.
install-built:
	$(Q)install -D -m 755 $(PROGRAM) $(DESTDIR)$(SBINDIR)/ethercord
	$(Q)install -d $(DESTDIR)$(DOCDIR)
	$(Q)install -m 644 $(wildcard LICENSE README.md docs/*.md) $(DESTDIR)$(DOCDIR)
	$(Q)install -D -m 644 $(BUILD)/man/ethercord.8 $(DESTDIR)$(MANDIR)/man8/ethercord.8
	$(Q)install -D -m 644 $(BUILD)/man/ethercord.conf.5 $(DESTDIR)$(MANDIR)/man5/ethercord.conf.5
	$(Q)install -D -m 644 $(BUILD)/completion/ethercord.bash $(DESTDIR)$(BASHDIR)/ethercord
	$(Q)install -D -m 644 $(BUILD)/completion/ethercord.zsh $(DESTDIR)$(ZSHDIR)/_ethercord
	$(Q)install -D -m 644 $(BUILD)/completion/ethercord.fish $(DESTDIR)$(FISHDIR)/ethercord.fish
	$(Q)install -d $(DESTDIR)$(DOCDIR)/examples
	$(Q)cp -r examples/. $(DESTDIR)$(DOCDIR)/examples
	$(Q)install -d $(DESTDIR)$(UNITDIR)/ethercord@.service.d
	$(Q)sed 's|/usr/local/sbin|$(SBINDIR)|g' examples/systemd/ethercord@.service >$(DESTDIR)$(UNITDIR)/ethercord@.service
	$(Q)chmod 644 $(DESTDIR)$(UNITDIR)/ethercord@.service
	$(Q)install -m 644 examples/systemd/order.conf $(DESTDIR)$(UNITDIR)/ethercord@.service.d
	$(Q)install -D -m 644 examples/systemd/ethercord.sysusers $(DESTDIR)$(SYSUSERSDIR)/ethercord.conf

uninstall: ## remove what install has put there
	$(Q)rm -f $(DESTDIR)$(SBINDIR)/ethercord $(DESTDIR)$(MANDIR)/man8/ethercord.8 $(DESTDIR)$(MANDIR)/man5/ethercord.conf.5
	$(Q)rm -f $(DESTDIR)$(BASHDIR)/ethercord $(DESTDIR)$(ZSHDIR)/_ethercord $(DESTDIR)$(FISHDIR)/ethercord.fish
	$(Q)rm -f $(DESTDIR)$(UNITDIR)/ethercord@.service $(DESTDIR)$(UNITDIR)/ethercord@.service.d/order.conf $(DESTDIR)$(SYSUSERSDIR)/ethercord.conf
	$(Q)rmdir $(DESTDIR)$(UNITDIR)/ethercord@.service.d 2>/dev/null || true
	$(Q)rm -rf $(DESTDIR)$(DOCDIR)

dist: ## pack the committed sources as build/ethercord-VERSION.tar.gz
	@mkdir -p $(BUILD)
	$(Q)git archive --prefix=ethercord-$(VERSION)/ -o $(BUILD)/ethercord-$(VERSION).tar.gz HEAD
	@echo $(BUILD)/ethercord-$(VERSION).tar.gz

clean: ## remove what was built
	$(Q)rm -rf $(BUILD)
