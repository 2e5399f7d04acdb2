# push.mk: tests of pushes to devices.
#
# `make unit` runs them among the others, `make unit-push` alone.  What talks
# to a service goes through a script of the same name that starts the double.

include worker/push/push.mk

PUSH_TESTS := push push_text
PUSH_PROGS := $(PUSH_TESTS:%=$(BUILD)/unit/test_%)
PUSH_BINS  := $(BUILD)/unit/push $(BUILD)/unit/test_push_text
UNIT_BINS  += $(PUSH_BINS)

TEST_RESULTS ?= $(abspath build/test-results)

.PHONY: unit-push

unit-push: $(PUSH_BINS)
	@tests/unit/run.sh $(TEST_RESULTS)/unit-push.txt $(PUSH_BINS)

$(PUSH_PROGS): $(BUILD)/unit/test_%: tests/unit/test_%.c tests/unit/unit.h \
               tests/unit/push_fixture.h $(PUSH_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $< $(PUSH_LIB) $(COMMON_LIB) -lcmocka \
	    $(PUSH_LIBS) $(COMMON_LIBS) $(LDFLAGS)

$(BUILD)/unit/push: tests/unit/push.mk $(BUILD)/unit/test_push \
                    tests/e2e/harness/fcm.py
	@printf '#!/bin/sh\n%s\n%s\n%s %s\n' \
	    'dir=$$(mktemp -d) || exit 1' \
	    'trap "rm -rf $$dir" EXIT' \
	    'python3 tests/e2e/harness/fcm.py --dir "$$dir"' \
	    $(BUILD)/unit/test_push > $@
	@chmod +x $@
