# t.mk: the Test::Nginx suite.
#
#     make t          with Debian's nginx and the dynamic module
#     make t-poll     with the module compiled in, on poll(): finds what works
#                     only because epoll is edge-triggered (Debian's nginx has
#                     no poll)
#     make t-hup      with reloads instead of restarts between blocks
#     make t T=t/30-frames.t
#
# tools/test.sh asan runs `t` with NGINX_BIN set to an nginx that has the module
# compiled in, and NGINX_MODULE empty.

# Those that take longest begin.
T_LONG := t/76-typing.t t/80-upload.t t/60-drain.t t/50-redis-loss.t
T      ?= $(T_LONG) $(filter-out $(T_LONG),$(sort $(wildcard t/*.t)))

# Files at a time: each has its ports, its folder and its Redis servers, and
# waits more than it computes.
T_JOBS ?= 4

.PHONY: t t-poll t-hup

t:
	@t/run.sh t $(T_JOBS) $(T)

t-poll: static
	@NGINX_BIN=$(abspath $(BUILD))/static/nginx NGINX_MODULE= \
	    TEST_NGINX_EVENT_TYPE=poll t/run.sh t-poll $(T_JOBS) $(T)

t-hup:
	@TEST_NGINX_USE_HUP=1 t/run.sh t-hup $(T_JOBS) $(T)
