# soak.mk: does anything leak while people of all kinds come and go?
#
#     make soak          an hour (SOAK_SECONDS), both stores side by side
#     make soak-short    three quarters of a minute, in CI
#     make soak-watch    would it be told?  (a part of soak-short)
#
# Always on binaries that watch their memory: SANITIZE=1 is added here.

SOAK_SECONDS ?= 3600
SOAK_ARGS    ?=

.PHONY: soak soak-short soak-watch

soak-watch: $(E2E_VENV)/ok
	@mkdir -p $(TEST_RESULTS)
	@cd tests/soak && $(E2E_ENV) $(E2E_PYTHON) -m pytest -q \
	    -p no:cacheprovider test_watch.py

ifdef SANITIZE

# Python is that of tests/e2e, whose fragment comes before this one
soak: module worker $(E2E_VENV)/ok
	@$(E2E_ENV) $(E2E_PYTHON) tests/soak/soak.py \
	    --seconds $(SOAK_SECONDS) \
	    --result $(TEST_RESULTS)/soak.txt $(SOAK_ARGS)

soak-short: soak-watch module worker $(E2E_VENV)/ok
	@$(E2E_ENV) $(E2E_PYTHON) tests/soak/soak.py --short \
	    --result $(TEST_RESULTS)/soak-short.txt $(SOAK_ARGS)

else

soak soak-short:
	@$(MAKE) --no-print-directory $@ SANITIZE=1

endif
