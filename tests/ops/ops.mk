# ops.mk: alert rules, dashboard, compose file, units and the like are what
# the programs that read them take.

.PHONY: ops

ops: worker
	@TEST_RESULTS=$(TEST_RESULTS) tests/ops/ops.py
