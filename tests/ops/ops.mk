# ops.mk: alert rules, dashboard, compose file, units and the like are what
# the programs that read them take.  drill is the drill of docs/operations.md
# by mongodump, mongorestore and mc, which `make restore-drill` has installed.

.PHONY: ops drill

ops: module worker $(E2E_VENV)/ok
	@TEST_RESULTS=$(TEST_RESULTS) PYTHON=$(E2E_VENV)/bin/python \
	    $(E2E_ENV) tests/ops/ops.py

drill: module worker $(E2E_VENV)/ok
	@mkdir -p $(TEST_RESULTS)
	cd tests/e2e && $(E2E_ENV) WRT_BACKUP_TOOLS=1 \
	    WRT_RESULT=$(TEST_RESULTS)/restore-drill.txt \
	    $(E2E_PYTHON) -m pytest -q -s -p no:cacheprovider test_backup.py
