# SPDX-License-Identifier: GPL-2.0-only
# Out of tree in build/; `make help` lists the targets.

ifeq ($(origin CC),default)
CC = gcc
endif
BUILD ?= build
PREFIX ?= /usr/local
VERSION := 0.1.0

CFLAGS ?= -O2 -g
FIRN_CFLAGS = -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFIRN_VERSION='"$(VERSION)"' -I. -I$(BUILD) \
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -MMD -MP -pthread
ifneq ($(CI),)
FIRN_CFLAGS += -Werror
endif
# Static, and but for its tar left out again: the shared one brings eight others to each start.
LIBARCHIVE ?= -l:libarchive.a -Wl,--gc-sections
LIBS = -lseccomp -lyajl -lmnl -lxxhash $(LIBARCHIVE) -pthread

# One line per file that is made; V=1 shows the commands.
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-4s %s\n' $1 $(@:$(BUILD)/%=%))

# runtime/ is the command; everything below it is one library, which the unit tests use too
LIB_SRCS := $(wildcard util/*.c oci/*.c libcontainer/*.c checkpoint/*.c checkpoint/*/*.c)
LIB_ASMS := $(wildcard checkpoint/*/*.S)
CMD_SRCS := $(wildcard runtime/*.c)
TEST_SRCS := $(wildcard tests/unit/test_*.c)

LIB_OBJS := $(LIB_SRCS:%.c=$(BUILD)/%.o) $(LIB_ASMS:%.S=$(BUILD)/%.o)
CMD_OBJS := $(CMD_SRCS:%.c=$(BUILD)/%.o)
TESTS := $(TEST_SRCS:%.c=$(BUILD)/%)

.PHONY: all
all: deps-build $(BUILD)/firn ## build the firn command

$(BUILD)/libfirn.a: $(LIB_OBJS)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

# What `make asan` and `make valgrind` link in besides.
MORE_OBJS := $(filter %.o,$(LDFLAGS))

$(BUILD)/firn: $(CMD_OBJS) $(BUILD)/libfirn.a $(MORE_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(CMD_OBJS) $(BUILD)/libfirn.a $(LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(FIRN_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(FIRN_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libfirn.a $(MORE_OBJS)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(FIRN_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libfirn.a -lcmocka $(LIBS)

# Compiling waits for the packages, but is not redone because they were looked at.
$(LIB_OBJS) $(CMD_OBJS) $(TESTS): | deps-build

.PHONY: deps deps-build
deps-build:
	@tests/install-deps build
deps: ## install the Debian packages that building and testing need (tests/deps)
	@tests/install-deps

# Static: they run in containers that hold nothing but busybox.
PAYLOADS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/payload/*.c))
$(BUILD)/tests/payload/%: tests/payload/%.c $(wildcard tests/payload/*.h)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -Wall -Wextra $(CPPFLAGS) -O2 -static -o $@ $<

TOOLS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/tools/*.c))
$(BUILD)/tests/tools/%: tests/tools/%.c $(BUILD)/libfirn.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(FIRN_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libfirn.a $(LIBS)

.PHONY: unit-tests
unit-tests: $(TESTS) $(PAYLOADS) $(TOOLS) ## build the unit tests

.PHONY: check check-full check-kernel
check: ## run the tests: unit, bats on this host, all again in the test VM
	@BUILD=$(BUILD) tests/check
check-full: ## the long ones besides: more rounds, cgroup v1 in the VM
	@FIRN_FULL=1 BUILD=$(BUILD) tests/check
check-kernel: all unit-tests ## the kernel patches' selftests, and bats on their kernel, in the VM
	@tests/install-deps test kernel
	@BUILD=$(BUILD) tests/kernel/check $(BUILD)/log/kernel
	@BUILD=$(BUILD) tests/kernel/check $(BUILD)/log/kernel-debug --debug

.PHONY: check-apps
check-apps: all $(PAYLOADS) ## real programs moved under load, and container engines: tests/apps, tests/engines
	@tests/install-deps test apps engines
	@FIRN=$(abspath $(BUILD))/firn BUILD=$(BUILD) tests/run-tests $(BUILD)/log/apps \
		tests/apps/*.bats tests/engines/*.bats

.PHONY: vm-shell kernel
vm-shell: ## a shell in the test VM
	@tests/install-deps test kernel
	@tests/vm/run -i
kernel: ## build and cache the test VM's kernels
	@tests/install-deps kernel
	@tests/vm/build-kernel
	@tests/vm/build-kernel --debug

.PHONY: demo
demo: all ## freeze, checkpoint, kill and restore a Redis with data in it
	@tests/install-deps demo
	@FIRN=$(abspath $(BUILD))/firn tests/demo/demo

BENCH_SRCS := $(wildcard tests/bench/*.c)
BENCH := $(BENCH_SRCS:%.c=$(BUILD)/%)
.PHONY: bench
bench: all $(BENCH) ## measure against runc, bwrap and plain I/O: build/bench.md
	@tests/install-deps bench
	@FIRN=$(abspath $(BUILD))/firn BUILD=$(abspath $(BUILD)) tests/bench/bench

.PHONY: bench-kernel
bench-kernel: all $(BENCH) ## measure the kernel provider against the user provider, in the VM: build/bench/providers.md
	@tests/install-deps test kernel bench
	@mkdir -p $(BUILD)/bench
	@FIRN=$(abspath $(BUILD))/firn BUILD=$(abspath $(BUILD)) FIRN_VM_CALLS=1 \
		tests/vm/run -t 3600 -w $(BUILD)/bench \
		env BUILD=$(abspath $(BUILD)) tests/bench/providers $(abspath $(BUILD))/bench

$(BUILD)/tests/bench/%: tests/bench/%.c $(BUILD)/libfirn.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(FIRN_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libfirn.a $(LIBS)

FORMATTED = $(wildcard util/*.[ch] oci/*.[ch] libcontainer/*.[ch] checkpoint/*.[ch] checkpoint/*/*.[ch] \
	runtime/*.[ch] tests/*/*.[ch])
.PHONY: lint format
lint: ## shellcheck, format, licence lines, layers
	@tests/install-deps lint
	@mkdir -p $(BUILD)
	@tests/lint | tee $(BUILD)/lint.tap
	@grep -q '^# exit 0' $(BUILD)/lint.tap && ! grep -q '^not ok' $(BUILD)/lint.tap
format: ## bring the sources into shape with clang-format
	@tests/install-deps lint
	clang-format -i $(FORMATTED)

# Own build directories: objects with and without instruments do not mix.
VALGRIND_OBJS = $(BUILD)/valgrind/tests/valgrind/calls.o $(BUILD)/valgrind/tests/valgrind/native.o
ASAN_FLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
.PHONY: asan valgrind cover fuzz
fuzz: ## read 10,000 damaged config.json under ASan and UBSan (FIRN_SEED=N: others)
	@tests/install-deps build test
	$(MAKE) BUILD=$(BUILD)/asan CFLAGS="$(ASAN_FLAGS)" $(BUILD)/asan/tests/unit/test_config_mutants
	FIRN_MUTANTS=10000 $(BUILD)/asan/tests/unit/test_config_mutants
asan: ## unit and bats tests on this host under ASan and UBSan
	@tests/install-deps build test
	$(MAKE) BUILD=$(BUILD)/asan CFLAGS="$(ASAN_FLAGS)" $(BUILD)/asan/tests/sanitize/report.o
	$(MAKE) BUILD=$(BUILD)/asan CFLAGS="$(ASAN_FLAGS)" LDFLAGS=$(BUILD)/asan/tests/sanitize/report.o \
		all unit-tests
	BUILD=$(BUILD)/asan FIRN=$(abspath $(BUILD))/asan/firn tests/sanitize/run $(BUILD)/log/asan
valgrind: ## unit and bats tests on this host under memcheck (long)
	@tests/install-deps build test memcheck
	$(MAKE) BUILD=$(BUILD)/valgrind CFLAGS="-O1 -g" $(VALGRIND_OBJS)
	$(MAKE) BUILD=$(BUILD)/valgrind CFLAGS="-O1 -g" LDFLAGS="$(VALGRIND_OBJS)" all unit-tests
	BUILD=$(BUILD)/valgrind tests/valgrind/run $(BUILD)/log/valgrind
cover: ## line coverage of the unit and bats tests on this host
	@tests/install-deps build test
	$(MAKE) BUILD=$(BUILD)/cover CFLAGS="-O0 -g --coverage -fprofile-update=atomic" all unit-tests
	BUILD=$(BUILD)/cover FIRN=$(abspath $(BUILD))/cover/firn tests/run-tests $(BUILD)/log/cover
	@cd $(BUILD)/cover && find . -name '*.gcda' -exec gcov -n -r -s $(CURDIR) {} + 2>/dev/null | \
		awk -F"[':%]" '/^File/ { f = $$2 } \
			/^Lines executed/ { if (f !~ /^\/|^tests/) print f "\t" $$2 "\t" substr($$3, 5); f = "/" }' | \
		sort -t'	' -k1,1 -u | \
		awk -F'\t' '{ printf "%6.1f%%\t%s\n", $$2, $$1; n += $$3; ran += $$2 * $$3 / 100 } \
			END { if (n) printf "%6.1f%%\tof %d lines\n", ran * 100 / n, n }'

MAN_PAGES := $(patsubst docs/man/%.scd,$(BUILD)/man/%,$(wildcard docs/man/*.scd))
# of the kernel patches' system calls
CALL_PAGES := $(patsubst kernel-patches/man/%.scd,$(BUILD)/man/%,$(wildcard kernel-patches/man/*.scd))

# Debian's libraries of Go are sources in one tree, not modules.
OCI_CHECK := $(BUILD)/tests/oci/conformance
$(OCI_CHECK): $(wildcard tests/oci/conformance/*.go)
	@mkdir -p $(@D)
	$(call say,GO)
	$(Q)GO111MODULE=off GOFLAGS= GOPATH=/usr/share/gocode GOCACHE=$(abspath $(BUILD))/go-cache \
		go build -o $@ ./tests/oci/conformance

.PHONY: check-oci
check-oci: all ## bundles made, and states and limits judged, by runtime-tools
	@tests/install-deps test oci
	@$(MAKE) --no-print-directory $(OCI_CHECK)
	@FIRN=$(abspath $(BUILD))/firn $(OCI_CHECK)

.PHONY: oci-fields mutate-oci
oci-fields: ## write docs/oci-fields.md anew
	tests/oci/document >docs/oci-fields.md
mutate-oci: all unit-tests ## take each field out of its test's config.json: the test must fail
	@BUILD=$(BUILD) tests/oci/mutate

.PHONY: man install-man support
man: $(MAN_PAGES) $(CALL_PAGES) ## the manual pages: build/man
$(MAN_PAGES): $(BUILD)/man/%: docs/man/%.scd
$(CALL_PAGES): $(BUILD)/man/%: kernel-patches/man/%.scd
$(MAN_PAGES) $(CALL_PAGES):
	@tests/install-deps manual
	@mkdir -p $(@D)
	scdoc <$< >$@.new && mv $@.new $@
install-man: man ## install the manual pages below PREFIX
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 $(MAN_PAGES)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man2 $(CALL_PAGES)
	packaging/man-names $(DESTDIR)$(PREFIX)/share/man/man8 docs/man/*.scd
support: $(BUILD)/tests/unit/test_support ## write the table in docs/support.md anew
	$< --write

.PHONY: install
install: $(BUILD)/firn ## install command and completions below PREFIX (/usr/local)
	install -D -m 755 $(BUILD)/firn $(DESTDIR)$(PREFIX)/sbin/firn
	install -d $(DESTDIR)$(PREFIX)/libexec/firn
	ln -sfn ../../sbin/firn $(DESTDIR)$(PREFIX)/libexec/firn/criu
	install -D -m 644 contrib/completion/firn.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/firn
	install -D -m 644 contrib/completion/_firn $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_firn
	install -D -m 644 contrib/completion/firn.fish \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/firn.fish

DEB := $(BUILD)/firn_$(VERSION)_$(shell dpkg --print-architecture 2>/dev/null).deb
.PHONY: deb
deb: $(BUILD)/firn man ## a Debian package: build/firn_VERSION_ARCH.deb
	rm -rf $(BUILD)/deb
	$(MAKE) --no-print-directory install install-man DESTDIR=$(abspath $(BUILD))/deb PREFIX=/usr
	packaging/deb $(BUILD)/deb $(VERSION) $(DEB)
	@echo $(DEB)

.PHONY: clean
clean: ## remove what was built (not the cached test kernel)
	rm -rf $(BUILD)

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

-include $(LIB_OBJS:.o=.d) $(CMD_OBJS:.o=.d) $(TESTS:=.d) $(BENCH:=.d) $(TOOLS:=.d)
