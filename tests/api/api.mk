# api.mk: what nobody thought of, tried by schemathesis against a running
# server, and compared with docs/api/openapi.yaml.
#
# API_SECONDS in all; API_SEED repeats a run.

API_VENV     := $(abspath $(BUILD))/venv-api
API_SECONDS  ?= 60
API_SEED     ?=

.PHONY: api

$(API_VENV)/ok: tests/api/requirements.txt tests/e2e/requirements.txt
	python3 -m venv $(API_VENV)
	$(API_VENV)/bin/pip install -q --disable-pip-version-check \
	    -r tests/api/requirements.txt
	@touch $@

api: module worker $(API_VENV)/ok
	@mkdir -p $(TEST_RESULTS)
	@$(E2E_ENV) $(abspath tools/leash.py) $(API_VENV)/bin/python \
	    tests/api/run.py --seconds $(API_SECONDS) \
	    $(addprefix --seed ,$(API_SEED)) \
	    --result $(TEST_RESULTS)/api.txt
