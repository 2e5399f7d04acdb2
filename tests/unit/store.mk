# store.mk: tests of the stores, run with a private mongod.
#
# `make unit-store` runs them alone, `make unit` runs them, too.

include worker/store.mk

STORE_TESTS := sqlite mongo pair
STORE_BINS  := $(STORE_TESTS:%=$(BUILD)/unit/test_store_%)

STORE_TEST_COMMON := tests/unit/store_test.c tests/unit/store_suite.c \
                     tests/unit/store_test_sqlite.c \
                     tests/unit/store_test_mongo.c

TEST_RESULTS ?= $(abspath build/test-results)

.PHONY: unit-store
unit: unit-store

unit-store: $(STORE_BINS) $(BUILD)/unit/mongo_ready
	@tests/unit/with_mongod.sh $(BUILD) tests/unit/run.sh \
	    $(TEST_RESULTS)/unit-store.txt $(STORE_BINS)

$(STORE_BINS): $(BUILD)/unit/test_store_%: tests/unit/test_store_%.c \
               $(STORE_TEST_COMMON) tests/unit/store_test.h \
               tests/unit/unit.h $(STORE_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(STORE_CFLAGS) -o $@ $< $(STORE_TEST_COMMON) \
	    $(STORE_LIB) $(COMMON_LIB) -lcmocka $(STORE_LIBS) $(LDFLAGS)

$(BUILD)/unit/mongo_ready: tests/unit/mongo_ready.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(STORE_CFLAGS) -o $@ $< $(STORE_LIBS) $(LDFLAGS)
