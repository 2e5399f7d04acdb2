# chat.mk: chat servers side by side, see tests/bench/chat/README.md.
#
#     make bench-chat       all peers and scenarios, half an hour
#     make bench-chat BENCH_RUNS=1 BENCH_SCENARIOS='rooms-5k fanout-50' \
#         BENCH_PEERS='floor gohub writeen writeen-mongo'
#     make bench-beside     what pairs notice of a room of 1,000 beside theirs
#     make bench-history    pages of history by REST
#     make bench-curves     what all that costs as things grow: docs/curves.svg

BENCH_RUNS      ?= 3
BENCH_SCENARIOS ?= rooms-2k rooms-5k rooms-10k fanout-20 fanout-50 idle-10k \
                   connect-5k text-100 text-100-deflate
BENCH_PEERS     ?= floor nchan-nostore nchan-jwt centrifuge-hist gohub \
                   writeen writeen-mongo
BENCH_CHAT      := $(abspath $(BUILD))/bench/chat

.PHONY: bench-chat bench-beside bench-history bench-curves

bench-chat: module worker $(abspath $(BUILD))/venv/ok
	@tests/bench/chat/build.sh $(BENCH_CHAT) $(BENCH_PEERS)
	@rm -f $(BENCH_CHAT)/results.jsonl
	@$(E2E_ENV) $(E2E_PYTHON) tests/bench/chat/bench.py \
	    --runs $(BENCH_RUNS) --scenarios $(BENCH_SCENARIOS) \
	    --peers $(BENCH_PEERS)

bench-beside: module worker $(abspath $(BUILD))/venv/ok
	@tests/bench/chat/build.sh $(BENCH_CHAT) $(BENCH_PEERS)
	@$(E2E_ENV) $(E2E_PYTHON) tests/bench/chat/beside.py \
	    --runs $(BENCH_RUNS) --peers $(filter-out nchan-jwt,$(BENCH_PEERS))

bench-history: module worker $(abspath $(BUILD))/venv/ok
	@tests/bench/chat/build.sh $(BENCH_CHAT)
	@$(E2E_ENV) $(E2E_PYTHON) tests/bench/chat/history.py

bench-curves: module worker $(abspath $(BUILD))/venv/ok
	@tests/bench/chat/build.sh $(BENCH_CHAT) writeen writeen-mongo
	@rm -f $(BENCH_CHAT)/curves.jsonl $(BENCH_CHAT)/pages.jsonl
	@$(E2E_ENV) $(E2E_PYTHON) tests/bench/chat/bench.py \
	    --runs $(BENCH_RUNS) --out $(BENCH_CHAT)/curves.jsonl --scenarios \
	    curve-10 curve-100 curve-1000 members-10 members-100 members-1000 \
	    --peers writeen writeen-mongo
	@$(E2E_ENV) $(E2E_PYTHON) tests/bench/chat/history.py \
	    --out $(BENCH_CHAT)/pages.jsonl
	@$(E2E_PYTHON) tests/bench/chat/curves.py \
	    --chat $(BENCH_CHAT)/curves.jsonl \
	    --history $(BENCH_CHAT)/pages.jsonl --picture docs/curves.svg
