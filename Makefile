# Makefile: the one door to this project.  `make help` lists what it can do.
#
# Each folder says in its own .mk file how it is built and tested; they share
# the variables below.  A suite writes build/test-results/<suite>.txt with a
# line `passed=N failed=N`, which tools/test.sh adds up.

.DEFAULT_GOAL := all

BUILD ?= build

ifeq ($(origin CC),default)
CC := gcc
endif

# nginx that `make static` compiles the module into: 1.22.1, 1.26.3, 1.28.3.
NGINX_VERSION ?= 1.22.1

# What the suites run: Debian's nginx with the dynamic module.  WORKER_BIN and
# the others may be given, too.
NGINX_BIN     ?= $(shell PATH=$$PATH:/usr/sbin command -v nginx)
NGINX_MODULE  ?= $(abspath $(BUILD))/ngx_http_writeen_module.so
CFLAGS        ?= -O2 -g

# SANITIZE=1 makes any goal a sanitized one, in a build folder of its own, with
# an nginx that has the module compiled in (so there is no module file).
# Optimised a little, so that the suites keep their time limits.  gcc knows less
# of values with sanitizers in between and warns of what cannot happen, hence
# the three -Wno; the plain build has them on.  The flags of nginx itself are in
# tools/nginx.sh, each with its reason.
ifdef SANITIZE
override BUILD        := build/asan
override NGINX_BIN    := $(abspath build/asan/nginx)
override NGINX_MODULE :=
override WORKER_BIN   := $(abspath build/asan/writeen-worker)
override TOKEN_BIN    := $(abspath build/asan/writeen-token)
override CFLAGS       := -O1 -g -fno-omit-frame-pointer \
                         -fsanitize=address,undefined \
                         -Wno-format-overflow -Wno-format-truncation \
                         -Wno-maybe-uninitialized
override LDFLAGS      := -fsanitize=address,undefined
override E2E_VENV     := $(abspath build/venv)
MONGOD                ?= $(abspath build/deps/mongod)
LSAN_OPTIONS          ?= suppressions=$(abspath tools/lsan.txt)
export MONGOD LSAN_OPTIONS
endif

override CFLAGS := -I. -std=gnu11 -Wall -Wextra -Werror $(CFLAGS)

WORKER_BIN    ?= $(abspath $(BUILD))/writeen-worker
TOKEN_BIN     ?= $(abspath $(BUILD))/writeen-token
TEST_RESULTS  ?= $(abspath build/test-results)
export NGINX_BIN NGINX_MODULE WORKER_BIN TOKEN_BIN TEST_RESULTS

# The fragments ask pkg-config and the like, which a fresh machine may not have
# yet: goals that install first do without them.
EARLY := run dev test deb deb-test chroot-test restore-drill deps test-deps \
         help clean

ifneq ($(filter-out $(EARLY),$(or $(MAKECMDGOALS),all)),)
include $(wildcard common/common.mk)
include $(wildcard worker/worker.mk)
include $(wildcard tests/*/*.mk)
include $(wildcard t/t.mk)
endif

.PHONY: all help run test deps test-deps module static asan worker \
        unit t e2e browser ops fault load fuzz bench lint compile clean
.PHONY: dev deb deb-test chroot-test restore-drill

all: module worker

help:
	@echo 'make run      install what is missing, build, start everything'
	@echo 'make test     install what is missing, run every suite'
	@echo 'make dev      make run that rebuilds and restarts on change'
	@echo
	@echo 'make          module and worker'
	@echo 'make module   build/ngx_http_writeen_module.so for Debian nginx'
	@echo 'make worker   build/writeen-worker, build/writeen-token'
	@echo 'make static   nginx NGINX_VERSION with the module compiled in'
	@echo 'make asan     unit, t and e2e with sanitizers (SANITIZE=1)'
	@echo 'make unit     C unit tests           make t     Test::Nginx'
	@echo 'make browser  the browser client in Chromium'
	@echo 'make e2e      the whole stack        make fault parts killed'
	@echo 'make api      REST against docs/api, by schemathesis'
	@echo 'make load     load test with k6      make fuzz  parsers'
	@echo 'make autobahn WebSocket conformance  make abuse hostile clients'
	@echo 'make soak     an hour of everything: does anything leak?'
	@echo 'make lint     style, layering, cppcheck, shellcheck'
	@echo 'make ops      alert rules, dashboard, compose file, units'
	@echo 'make restore-drill  backup and restore by mongodump and mc'
	@echo 'make images   docker/ built by buildah, and chatted with'
	@echo 'make compile  gcc and clang, dynamic and compiled in'
	@echo 'make flood    who floods is held     make backlog a late pool'
	@echo 'make t-poll   and t-hup, fuzz-nginx, unit-store etc.: parts'
	@echo 'make deps     packages for run       make test-deps  for test'
	@echo 'make clean    all but downloads'
	@echo
	@echo 'Figures: make bench (stores), bench-chat (beside other servers),'
	@echo 'bench-search, bench-session, bench-history, bench-curves,'
	@echo 'bench-push, bench-idle, bench-uploads, bench-retention,'
	@echo 'bench-beside'
	@echo
	@echo 'make deb          Debian packages, into build/deb'
	@echo 'make deb-test     those, installed on a fresh Debian 12'
	@echo 'make chroot-test  make run and make test on a fresh Debian 12'

deps:
	@tools/install.sh run

test-deps:
	@tools/install.sh test

# Recipes run in their own make so that installing comes before any look at
# what is installed, whatever -j says.

run:
	@tools/install.sh run
	@echo 'building'
	@$(MAKE) -s -j"$$(nproc)" module worker
	@exec tools/run.sh

dev:
	@tools/install.sh run
	@exec tools/dev.sh

test:
	@tools/install.sh test
	@exec tools/test.sh

deb:
	@tools/install.sh deb
	@tools/deb.sh build/deb

# These two fetch a Debian and take minutes: not part of `make test`.

deb-test: deb
	@tools/install.sh fresh
	@tests/fresh/packages.sh build/deb $(TEST_RESULTS)/deb-test.txt

chroot-test:
	@tools/install.sh fresh
	@tests/fresh/newcomer.sh $(TEST_RESULTS)/chroot-test.txt

# Nor this, which builds what makes backups.
restore-drill:
	@tools/install.sh drill
	@$(MAKE) -s -j"$$(nproc)" drill

module:
ifdef SANITIZE
	@tools/nginx.sh static $(BUILD)/nginx-obj $(NGINX_BIN) $(NGINX_VERSION)
else
	@tools/nginx.sh dynamic $(BUILD)/nginx-dyn \
	    $(BUILD)/ngx_http_writeen_module.so
endif

static:
	@tools/nginx.sh static $(BUILD)/static/$(NGINX_VERSION) \
	    $(BUILD)/static/nginx $(NGINX_VERSION)

asan:
	@tools/test.sh asan

lint:
	@tools/lint.py

compile:
	@tools/compile.sh

# Downloads (build/deps, build/venv) stay; `rm -rf build` takes them, too.
clean:
	@if [ -d build ]; then \
	    find build -mindepth 1 -maxdepth 1 ! -name deps ! -name 'venv*' \
	        -exec rm -rf {} +; \
	fi
