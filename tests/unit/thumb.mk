# thumb.mk: tests of thumbnails.
#
# `make unit` runs them among the others, `make unit-thumb` alone.

include worker/files/thumb/thumb.mk

THUMB_TEST := $(BUILD)/unit/thumb
UNIT_BINS  += $(THUMB_TEST)

TEST_RESULTS ?= $(abspath build/test-results)

.PHONY: unit-thumb

unit-thumb: $(THUMB_TEST)
	@tests/unit/run.sh $(TEST_RESULTS)/unit-thumb.txt $(THUMB_TEST)

$(BUILD)/unit/test_thumb: tests/unit/test_thumb.c \
                          tests/unit/thumb_bomb.c tests/unit/thumb_bomb.h \
                          tests/unit/unit.h $(THUMB_LIB) $(UPLOAD_LIB) \
                          $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(THUMB_CFLAGS) -o $@ $< tests/unit/thumb_bomb.c \
	    $(THUMB_LIB) $(UPLOAD_LIB) $(COMMON_LIB) -lcmocka \
	    $(shell pkg-config --libs vips zlib) $(LDFLAGS)

$(BUILD)/unit/jail_probe: tests/unit/jail_probe.c $(THUMB_DIR)/thumb_jail.o \
                          $(JAIL_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(JAIL_LIBS) $(LDFLAGS)

$(THUMB_TEST): tests/unit/thumb.mk $(BUILD)/unit/test_thumb \
               $(BUILD)/unit/jail_probe $(THUMB)
	@printf '#!/bin/sh\n%s %s exec %s\n' \
	    WRT_TEST_THUMB=$(abspath $(THUMB)) \
	    WRT_TEST_JAIL=$(abspath $(BUILD)/unit/jail_probe) \
	    $(BUILD)/unit/test_thumb > $@
	@chmod +x $@
