# worker.mk: the worker pool, its program for thumbnails, and the tool that
# mints development tokens.
#
# Objects lie below $(BUILD) as their sources do below worker/.  A library is a
# folder with a .mk of its own, which says what its files are compiled with: of
# two rules that fit make takes the one of the deeper folder.

WORKER_DIRS := pool conf api projector files janitor life scribe notifier
WORKER_SRCS := $(wildcard $(WORKER_DIRS:%=worker/%/*.c))
WORKER_OBJS := $(WORKER_SRCS:%.c=$(BUILD)/%.o)
WORKER      := $(BUILD)/writeen-worker
TOKEN       := $(BUILD)/writeen-token

# Where migrations are found unless SCRIPTS_DIR says otherwise.
WORKER_SCRIPTS ?= $(abspath sql_or_mongo_scripts)
WORKER_CFLAGS  := -I$(BUILD) \
                  -DWRT_SCRIPTS_DIR='"$(WORKER_SCRIPTS)"'
WORKER_LIBS     = $(STORE_LIBS) $(BLOB_LIBS) $(UPLOAD_LIBS) \
                  $(SCAN_LIBS) $(JAIL_LIBS) $(PUSH_LIBS) -lhiredis \
                  -lyajl -lcrypto $(COMMON_LIBS)

include worker/store/store.mk
include worker/files/blob/blob.mk
include worker/files/upload/upload.mk
include worker/files/scan/scan.mk
include worker/files/thumb/thumb.mk
include worker/session/session.mk
include worker/push/push.mk

worker: $(WORKER) $(TOKEN) $(THUMB)

$(WORKER): $(WORKER_OBJS) $(SESSION_LIB) $(STORE_LIB) $(BLOB_LIB) \
           $(UPLOAD_LIB) $(SCAN_LIB) $(JAIL_LIB) $(THUMB_LIB) $(PUSH_LIB) \
           $(COMMON_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(WORKER_OBJS) $(SESSION_LIB) \
	    $(STORE_LIB) \
	    $(BLOB_LIB) $(THUMB_LIB) $(UPLOAD_LIB) $(SCAN_LIB) $(JAIL_LIB) \
	    $(PUSH_LIB) \
	    $(COMMON_LIB) \
	    -Wl,--as-needed $(WORKER_LIBS)

$(TOKEN): $(BUILD)/worker/token.o $(COMMON_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(COMMON_LIB) -ljwt

$(BUILD)/worker/%.o: worker/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(WORKER_CFLAGS) -MMD -MP -c -o $@ $<

# The function library, as bytes: server.c compares it with what Redis has.
$(BUILD)/writeen_lua.h: sql_or_mongo_scripts/redis/writeen.lua worker/worker.mk
	@mkdir -p $(@D)
	@{ printf '/* made of %s */\n\nstatic const char  writeen_lua[] = {\n' \
	       '$<'; \
	   od -An -v -tx1 '$<' \
	       | sed -e 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g' -e 's/^/    /'; \
	   printf '    0\n};\n\n#define writeen_lua_len '; \
	   printf '(sizeof(writeen_lua) - 1)\n'; } > $@.tmp
	@mv $@.tmp $@

$(BUILD)/worker/pool/server.o: $(BUILD)/writeen_lua.h

-include $(WORKER_OBJS:.o=.d) $(BUILD)/worker/token.d
