# abuse.mk: what hostile and broken clients do, and what the others notice.
#
#     make abuse         10,000 half-open, 20,000 idle, ... (half an hour);
#                        the others' p99 may not double, compared with the
#                        same done to a second stack on this machine
#     make abuse-short   the same with fewer, in CI; times are printed only
#     make abuse ABUSE_ARGS='--only pings,joins'

ABUSE_ARGS ?=

.PHONY: abuse abuse-short

# Python is that of tests/e2e, whose fragment comes after this one
.SECONDEXPANSION:
abuse: module worker $$(E2E_VENV)/ok
	@$(E2E_ENV) $(E2E_PYTHON) tests/abuse/abuse.py --strict --floor \
	    --result $(TEST_RESULTS)/abuse.txt $(ABUSE_ARGS)

abuse-short: module worker $$(E2E_VENV)/ok
	@$(E2E_ENV) $(E2E_PYTHON) tests/abuse/abuse.py --short \
	    --result $(TEST_RESULTS)/abuse-short.txt $(ABUSE_ARGS)
