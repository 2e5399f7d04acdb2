# browser.mk: the browser client (web/) in a real Chromium.
#
# Node packages live in build/deps/browser (tools/install.sh test puts them
# there), or where BROWSER_DEPS says; CHROMIUM is /usr/bin/chromium.
# BROWSER_ARGS names tests, by a part of their name.

BROWSER_DEPS ?= $(abspath build/deps/browser)

.PHONY: browser

browser: module worker
	@BROWSER_DEPS=$(BROWSER_DEPS) TEST_RESULTS=$(TEST_RESULTS) \
	    tools/leash.py node tests/browser/run.js $(BROWSER_ARGS)
