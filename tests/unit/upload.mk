# upload.mk: tests of what becomes of bytes that others sent.
#
# `make unit` runs them among the others, `make unit-upload` alone.

include worker/files/upload/upload.mk

UPLOAD_TESTS := form type
UPLOAD_PROGS := $(UPLOAD_TESTS:%=$(BUILD)/unit/test_upload_%)
UPLOAD_BINS  := $(UPLOAD_PROGS)
UNIT_BINS    += $(UPLOAD_BINS)

TEST_RESULTS ?= $(abspath build/test-results)

.PHONY: unit-upload

unit-upload: $(UPLOAD_BINS)
	@tests/unit/run.sh $(TEST_RESULTS)/unit-upload.txt $(UPLOAD_BINS)

$(UPLOAD_PROGS): $(BUILD)/unit/test_upload_%: tests/unit/test_upload_%.c \
                 tests/unit/unit.h $(UPLOAD_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(UPLOAD_CFLAGS) -o $@ $< $(UPLOAD_LIB) \
	    $(COMMON_LIB) -lcmocka $(UPLOAD_LIBS) $(COMMON_LIBS) $(LDFLAGS)
