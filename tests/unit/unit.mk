# unit.mk: unit tests of common/, one program per source file (and one that
# compares the frame codec with libwslay).
#
# `make unit` builds and runs every program of UNIT_BINS; other fragments add
# theirs with `UNIT_BINS += ...` and a rule of their own.

UNIT_TESTS := frame frame_wslay deflate utf8 id names url bus envelope \
              command send
UNIT_OWN   := $(UNIT_TESTS:%=$(BUILD)/unit/test_%)
UNIT_BINS  += $(UNIT_OWN)

UNIT_LIBS_frame_wslay := -lwslay
# memory runs out when the test says so
UNIT_LIBS_send  := -Wl,--wrap=malloc

TEST_RESULTS ?= $(abspath build/test-results)

.PHONY: unit

# Expanded late: fragments that come after this one may add to the list
.SECONDEXPANSION:
unit: $$(UNIT_BINS)
	@tests/unit/run.sh $(TEST_RESULTS)/unit.txt $(UNIT_BINS)

$(UNIT_OWN): $(BUILD)/unit/test_%: tests/unit/test_%.c $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -MT $@ -MF $@.d -o $@ $< $(COMMON_LIB) \
	    $(UNIT_LIBS_$*) -lcmocka $(COMMON_LIBS) $(LDFLAGS)

-include $(UNIT_OWN:%=%.d)
