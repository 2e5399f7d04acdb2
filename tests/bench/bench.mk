# bench.mk: figures.
#
# `make bench` prints how many messages a second each store takes, alone and
# with the parsing that the projector does, BENCH_BATCH at once.
#
# `make bench-search` prints how long searches take in BENCH_SEARCH_MESSAGES
# messages in BENCH_SEARCH_ROOMS rooms, and by which index; some minutes for
# each store.  bench-search-short takes a tenth of that, to try it.
#
# `make bench-uploads` prints what 20 uploads of 10 MB under way cost those who
# chat, and how much memory nginx takes for them (tests/e2e/e2e.mk).
#
# `make bench-session` prints how long the summary and the transcript of a
# session of BENCH_SESSION_MESSAGES messages take.

BENCH_STORE    := $(BUILD)/bench/bench_store
BENCH_MESSAGES ?= 200000
BENCH_ROOMS    ?= 1000
BENCH_BATCH    ?=

BENCH_SEARCH          := $(BUILD)/bench/bench_search
BENCH_SEARCH_MESSAGES ?= 1000000
BENCH_SEARCH_ROOMS    ?= 10000

BENCH_SESSION          := $(BUILD)/bench/bench_session
BENCH_SESSION_MESSAGES ?= 2000

.PHONY: bench bench-search bench-search-short bench-session

bench: $(BENCH_STORE) $(BUILD)/unit/mongo_ready
	@echo '-- SQLite'
	@dir=$$(mktemp -d); \
	$(BENCH_STORE) "sqlite:$$dir/bench.db" $(BENCH_MESSAGES) \
	    $(BENCH_ROOMS) $(BENCH_BATCH); rc=$$?; \
	rm -rf "$$dir"; exit $$rc
	@echo '-- MongoDB'
	@tests/unit/with_mongod.sh $(BUILD) sh -c '$(BENCH_STORE) \
	    "$${WRT_TEST_MONGODB_URI}" $(BENCH_MESSAGES) $(BENCH_ROOMS) \
	    $(BENCH_BATCH)'

$(BENCH_STORE): tests/bench/bench_store.c $(STORE_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(STORE_CFLAGS) -o $@ $< $(STORE_LIB) $(COMMON_LIB) \
	    $(STORE_LIBS) $(LDFLAGS)

bench-search: $(BENCH_SEARCH) $(BUILD)/unit/mongo_ready
	@dir=$$(mktemp -d); \
	$(BENCH_SEARCH) "sqlite:$$dir/bench.db" $(BENCH_SEARCH_MESSAGES) \
	    $(BENCH_SEARCH_ROOMS); rc=$$?; \
	rm -rf "$$dir"; exit $$rc
	@MONGOD_CACHE_GB=2 tests/unit/with_mongod.sh $(BUILD) \
	    sh -c '$(BENCH_SEARCH) \
	    "$${WRT_TEST_MONGODB_URI}" $(BENCH_SEARCH_MESSAGES) \
	    $(BENCH_SEARCH_ROOMS)'

bench-search-short:
	@$(MAKE) --no-print-directory bench-search \
	    BENCH_SEARCH_MESSAGES=100000 BENCH_SEARCH_ROOMS=1000

$(BENCH_SEARCH): tests/bench/bench_search.c tests/bench/bench_search_plan.c \
                 tests/bench/bench_search.h $(STORE_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(STORE_CFLAGS) -o $@ $(filter %.c,$^) $(STORE_LIB) \
	    $(COMMON_LIB) $(STORE_LIBS) $(LDFLAGS)

bench-session: $(BENCH_SESSION)
	@$(BENCH_SESSION) $(BENCH_SESSION_MESSAGES)

$(BENCH_SESSION): tests/bench/bench_session.c $(SESSION_LIB) $(STORE_LIB) \
                  $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $< $(SESSION_LIB) $(STORE_LIB) $(COMMON_LIB) \
	    $(SESSION_LIBS) $(COMMON_LIBS) $(LDFLAGS)
