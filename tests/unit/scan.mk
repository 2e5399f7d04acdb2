# scan.mk: tests of the scanner.
#
# `make unit` runs them among the others, `make unit-scan` alone.  What needs a
# clamd goes through a script of the same name that starts a private one.

include worker/files/scan/scan.mk

SCAN_TESTS := libclamav clamd
SCAN_PROGS := $(SCAN_TESTS:%=$(BUILD)/unit/test_scan_%)
SCAN_CLAMD := $(BUILD)/unit/scan_clamd $(BUILD)/unit/scan_clamd_plain
SCAN_JAIL  := $(BUILD)/unit/test_scan_jail
SCAN_BINS  := $(BUILD)/unit/test_scan_libclamav $(SCAN_CLAMD) $(SCAN_JAIL)
UNIT_BINS  += $(SCAN_BINS)

TEST_RESULTS ?= $(abspath build/test-results)

.PHONY: unit-scan

unit-scan: $(SCAN_BINS)
	@tests/unit/run.sh $(TEST_RESULTS)/unit-scan.txt $(SCAN_BINS)

$(SCAN_PROGS): $(BUILD)/unit/test_scan_%: tests/unit/test_scan_%.c \
               tests/unit/scan_suite.c tests/unit/scan_suite.h \
               tests/unit/unit.h $(SCAN_LIB) $(JAIL_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SCAN_CFLAGS) -o $@ $< tests/unit/scan_suite.c \
	    $(SCAN_LIB) $(JAIL_LIB) -lcmocka $(SCAN_LIBS) $(JAIL_LIBS) \
	    $(shell pkg-config --cflags --libs libzip) $(LDFLAGS)

$(SCAN_JAIL): tests/unit/test_scan_jail.c tests/unit/unit.h $(SCAN_LIB) \
              $(JAIL_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $< $(SCAN_LIB) $(JAIL_LIB) -lcmocka $(SCAN_LIBS) \
	    $(JAIL_LIBS) $(LDFLAGS)

scan_setting = $(if $(findstring plain,$(1)),CLAMD_PLAIN=1)

$(SCAN_CLAMD): tests/unit/scan.mk tests/unit/with_clamd.sh \
               $(BUILD)/unit/test_scan_clamd
	@printf '#!/bin/sh\n%s exec %s %s %s\n' \
	    '$(call scan_setting,$(@F))' tests/unit/with_clamd.sh \
	    $(BUILD) $(BUILD)/unit/test_scan_clamd > $@
	@chmod +x $@
