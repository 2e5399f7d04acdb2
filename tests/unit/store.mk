# store.mk: tests of the stores.
#
# `make unit` runs them among the others, `make unit-store` alone.  What needs
# a mongod goes through a script of the same name that starts a private one.

include worker/store/store.mk

STORE_TESTS  := mem sqlite mongo schema pair search
STORE_PROGS  := $(STORE_TESTS:%=$(BUILD)/unit/test_store_%)
STORE_MONGO  := $(BUILD)/unit/store_mongo $(BUILD)/unit/store_standalone \
                $(BUILD)/unit/store_schema $(BUILD)/unit/store_pair \
                $(BUILD)/unit/store_search
WORDS_TEST   := $(BUILD)/unit/test_words
STORE_BINS   := $(WORDS_TEST) $(BUILD)/unit/test_store_mem \
                $(BUILD)/unit/test_store_sqlite $(STORE_MONGO)
# first, as two of them wait for servers for minutes
UNIT_BINS    := $(STORE_MONGO) $(WORDS_TEST) $(BUILD)/unit/test_store_mem \
                $(BUILD)/unit/test_store_sqlite $(UNIT_BINS)

STORE_SHARED := tests/unit/store_test.c tests/unit/store_suite.c \
                tests/unit/store_suite_write.c tests/unit/store_suite_read.c \
                tests/unit/store_suite_change.c \
                tests/unit/store_suite_once.c \
                tests/unit/store_suite_file.c tests/unit/store_test_file.c \
                tests/unit/store_suite_device.c \
                tests/unit/store_test_device.c \
                tests/unit/store_suite_life.c tests/unit/store_test_life.c \
                tests/unit/store_suite_session.c \
                tests/unit/store_test_session.c \
                tests/unit/store_suite_reject.c \
                tests/unit/store_model.c tests/unit/store_model_check.c \
                tests/unit/store_suite_page.c tests/unit/store_suite_search.c \
                tests/unit/store_test_sqlite.c tests/unit/store_test_mongo.c

TEST_RESULTS ?= $(abspath build/test-results)

.PHONY: unit-store

unit-store: $(STORE_BINS)
	@tests/unit/run.sh $(TEST_RESULTS)/unit-store.txt $(STORE_BINS)

$(STORE_PROGS): $(BUILD)/unit/test_store_%: tests/unit/test_store_%.c \
                $(STORE_SHARED) tests/unit/store_test.h \
                tests/unit/store_suite.h tests/unit/store_model.h \
                tests/unit/store_test_mongo.h \
                tests/unit/unit.h $(STORE_LIB) \
                $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(STORE_CFLAGS) -o $@ $< $(STORE_SHARED) \
	    $(STORE_LIB) $(COMMON_LIB) -lcmocka $(STORE_LIBS) $(LDFLAGS)

$(WORDS_TEST): tests/unit/test_words.c tests/unit/unit.h $(STORE_LIB) \
               $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $< $(STORE_LIB) $(COMMON_LIB) -lcmocka \
	    $(STORE_LIBS) $(LDFLAGS)

# name: the program it runs, with or without a replica set
store_prog    = $(BUILD)/unit/test_$(subst standalone,mongo,$(1))
store_setting = $(if $(findstring standalone,$(1)),MONGOD_STANDALONE=1)

$(STORE_MONGO): $(BUILD)/unit/store_%: tests/unit/store.mk \
                tests/unit/with_mongod.sh $(STORE_PROGS) \
                $(BUILD)/unit/mongo_ready
	@printf '#!/bin/sh\n%s exec %s %s %s\n' \
	    '$(call store_setting,$(@F))' tests/unit/with_mongod.sh \
	    $(BUILD) $(call store_prog,$(@F)) > $@
	@chmod +x $@

$(BUILD)/unit/mongo_ready: tests/unit/mongo_ready.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(STORE_CFLAGS) -o $@ $< $(STORE_LIBS) $(LDFLAGS)
