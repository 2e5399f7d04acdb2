# blob.mk: tests of the storage of files.
#
# `make unit` runs them among the others, `make unit-blob` alone.  What needs a
# MinIO goes through a script of the same name that starts a private one.

include worker/files/blob/blob.mk

BLOB_TESTS := local s3 s3_fault s3_plain
BLOB_PROGS := $(BLOB_TESTS:%=$(BUILD)/unit/test_blob_%)
BLOB_MINIO := $(patsubst %,$(BUILD)/unit/blob_%, \
                         $(filter s3%,$(BLOB_TESTS)))
BLOB_BINS  := $(BUILD)/unit/test_sigv4 $(BUILD)/unit/test_blob_local \
              $(BLOB_MINIO)
UNIT_BINS  += $(BLOB_BINS)

BLOB_SHARED := tests/unit/blob_suite.c tests/unit/blob_minio.c \
               tests/unit/blob_proxy.c

TEST_RESULTS ?= $(abspath build/test-results)

.PHONY: unit-blob

unit-blob: $(BLOB_BINS)
	@tests/unit/run.sh $(TEST_RESULTS)/unit-blob.txt $(BLOB_BINS)

$(BUILD)/unit/test_sigv4: tests/unit/test_sigv4.c tests/unit/unit.h \
                          $(BLOB_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $< $(BLOB_LIB) -lcmocka -lcrypto $(LDFLAGS)

BLOB_HEADERS := tests/unit/blob_suite.h tests/unit/blob_minio.h \
                tests/unit/blob_proxy.h tests/unit/unit.h

$(BLOB_PROGS): $(BUILD)/unit/test_blob_%: tests/unit/test_blob_%.c \
               $(BLOB_SHARED) $(BLOB_HEADERS) $(BLOB_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(BLOB_CFLAGS) -o $@ $< $(BLOB_SHARED) $(BLOB_LIB) \
	    $(COMMON_LIB) -lcmocka $(BLOB_LIBS) $(COMMON_LIBS) $(LDFLAGS)

blob_setting = $(if $(findstring plain,$(1)),MINIO_PLAIN=1)

$(BLOB_MINIO): $(BUILD)/unit/blob_%: tests/unit/blob.mk \
               tests/unit/with_minio.sh $(BUILD)/unit/test_blob_%
	@printf '#!/bin/sh\n%s exec %s %s %s\n' \
	    '$(call blob_setting,$(@F))' tests/unit/with_minio.sh \
	    $(BUILD) $(BUILD)/unit/test_$(@F) > $@
	@chmod +x $@
