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
LIBS = -lseccomp -lcap -lyajl -lmnl -lxxhash -pthread

# runtime/ is the command; everything below it is one library, which the unit tests use too
LIB_SRCS := $(wildcard util/*.c oci/*.c libcontainer/*.c checkpoint/*.c checkpoint/*/*.c)
LIB_ASMS := $(wildcard checkpoint/*/*.S)
CMD_SRCS := $(wildcard runtime/*.c)
TEST_SRCS := $(wildcard tests/unit/test_*.c)

LIB_OBJS := $(LIB_SRCS:%.c=$(BUILD)/%.o) $(LIB_ASMS:%.S=$(BUILD)/%.o)
CMD_OBJS := $(CMD_SRCS:%.c=$(BUILD)/%.o)
TESTS := $(TEST_SRCS:%.c=$(BUILD)/%)

.PHONY: all
all: $(BUILD)/firn ## build the firn command

$(BUILD)/libfirn.a: $(LIB_OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/firn: $(CMD_OBJS) $(BUILD)/libfirn.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(CMD_OBJS) $(BUILD)/libfirn.a $(LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(FIRN_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(FIRN_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libfirn.a
	@mkdir -p $(@D)
	$(CC) $(FIRN_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libfirn.a -lcmocka $(LIBS)

.PHONY: unit-tests
unit-tests: $(TESTS) ## build the unit tests

.PHONY: clean
clean: ## remove what was built (not the cached test kernel)
	rm -rf $(BUILD)

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 20

-include $(LIB_OBJS:.o=.d) $(CMD_OBJS:.o=.d) $(TESTS:=.d)
