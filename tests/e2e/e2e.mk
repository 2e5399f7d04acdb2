# e2e.mk: the whole stack end to end, parts killed, load.
#
# Python and its packages live in build/venv; mongod and k6 are found in
# build/deps or PATH (tools/install.sh test puts them there), or named by
# MONGOD and K6.

E2E_VENV    := $(abspath $(BUILD))/venv
# interrupted or not, no server stays behind
E2E_PYTHON  := $(abspath tools/leash.py) $(E2E_VENV)/bin/python
E2E_ENV     := BUILD=$(abspath $(BUILD)) PYTHONDONTWRITEBYTECODE=1
E2E_STORES  ?= sqlite mongo

# Tests wait more than they compute, so several processes share them, each with
# stacks of its own.  1: none, to see the output of one test as it comes.
E2E_JOBS    ?= 4

FAULT_SECONDS       ?= 600
FAULT_SHORT_SECONDS ?= 60
BACKLOG_MESSAGES    ?= 200000

# Each store in turn; all run, then the worst exit status counts.
define e2e_each_store
	@mkdir -p $(TEST_RESULTS)
	@rm -f $(TEST_RESULTS)/$@.parts; status=0; \
	for store in $(E2E_STORES); do \
	    $(E2E_ENV) $(E2E_PYTHON) $(1) --store $$store \
	        --result $(TEST_RESULTS)/$@.parts || status=1; \
	done; \
	awk -F '[= ]' '{ p += $$2; f += $$4 } \
	    END { if (!NR) f = 1; printf "passed=%d failed=%d\n", p, f }' \
	    $(TEST_RESULTS)/$@.parts > $(TEST_RESULTS)/$@.txt; \
	rm -f $(TEST_RESULTS)/$@.parts; exit $$status
endef

.PHONY: e2e e2e-short fault fault-short load load-short backlog backlog-short \
        flood flood-short bench-uploads bench-retention bench-push bench-idle

$(E2E_VENV)/ok: tests/e2e/requirements.txt
	python3 -m venv $(E2E_VENV)
	$(E2E_VENV)/bin/pip install -q --disable-pip-version-check \
	    -r tests/e2e/requirements.txt
	@touch $@

# short: each test with one of the stores
e2e-short: E2E_SHORT := --one-store
e2e e2e-short: module worker $(E2E_VENV)/ok
	@mkdir -p $(TEST_RESULTS)
	cd tests/e2e && $(E2E_ENV) WRT_RESULT=$(TEST_RESULTS)/$@.txt \
	    $(E2E_PYTHON) -m pytest -q -p no:cacheprovider \
	    $(if $(filter-out 1,$(E2E_JOBS)),-n $(E2E_JOBS) \
	        --maxschedchunk 1) \
	    $(E2E_SHORT) $(E2E_ARGS)

fault: module worker $(E2E_VENV)/ok
	$(call e2e_each_store,tests/fault/fault.py --seconds $(FAULT_SECONDS))

fault-short: module worker $(E2E_VENV)/ok
	$(call e2e_each_store,tests/fault/fault.py \
	    --seconds $(FAULT_SHORT_SECONDS))

load: module worker $(E2E_VENV)/ok
	$(call e2e_each_store,tests/load/load.py --scale 1)

load-short: module worker $(E2E_VENV)/ok
	$(call e2e_each_store,tests/load/load.py --scale 0.05)

backlog: module worker $(E2E_VENV)/ok
	$(call e2e_each_store,tests/load/backlog.py \
	    --messages $(BACKLOG_MESSAGES))

flood: module worker $(E2E_VENV)/ok
	$(call e2e_each_store,tests/load/flood.py --messages 300)

flood-short: module worker $(E2E_VENV)/ok
	$(call e2e_each_store,tests/load/flood.py --messages 50)

backlog-short: BACKLOG_MESSAGES := 20000
backlog-short: module worker $(E2E_VENV)/ok
	$(call e2e_each_store,tests/load/backlog.py \
	    --messages $(BACKLOG_MESSAGES))

bench-push: module worker $(E2E_VENV)/ok
	$(call e2e_each_store,tests/bench/push.py)

bench-idle: module worker $(E2E_VENV)/ok
	@$(E2E_ENV) $(E2E_PYTHON) tests/bench/idle.py $(SOCKETS)

bench-uploads: module worker $(E2E_VENV)/ok
	@$(E2E_PYTHON) tests/bench/uploads.py --stack sqlite-local
	@$(E2E_PYTHON) tests/bench/uploads.py --stack mongo-s3

# Half of so many messages are deleted while people chat.
RETENTION_MESSAGES ?= 1000000

bench-retention: module worker $(E2E_VENV)/ok
	@for store in $(E2E_STORES); do \
	    $(E2E_ENV) $(E2E_PYTHON) tests/bench/retention.py \
	        --store $$store --messages $(RETENTION_MESSAGES) || exit 1; \
	done
