# bench.mk: figures.
#
# `make bench` prints how many messages a second each store takes, alone and
# with the parsing that the projector does.

BENCH_STORE    := $(BUILD)/bench/bench_store
BENCH_MESSAGES ?= 200000
BENCH_ROOMS    ?= 1000

.PHONY: bench

bench: $(BENCH_STORE) $(BUILD)/unit/mongo_ready
	@echo '-- SQLite'
	@dir=$$(mktemp -d); \
	$(BENCH_STORE) "sqlite:$$dir/bench.db" $(BENCH_MESSAGES) \
	    $(BENCH_ROOMS); rc=$$?; \
	rm -rf "$$dir"; exit $$rc
	@echo '-- MongoDB'
	@tests/unit/with_mongod.sh $(BUILD) sh -c '$(BENCH_STORE) \
	    "$${WRT_TEST_MONGODB_URI}" $(BENCH_MESSAGES) $(BENCH_ROOMS)'

$(BENCH_STORE): tests/bench/bench_store.c $(STORE_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(STORE_CFLAGS) -o $@ $< $(STORE_LIB) $(COMMON_LIB) \
	    $(STORE_LIBS) $(LDFLAGS)
