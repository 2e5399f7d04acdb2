# fuzz.mk: libFuzzer on everything that reads what others wrote.
#
# `make fuzz` runs each target for FUZZ_SECONDS, two at a time, from the seeds
# in tests/fuzz/corpus/<name>; what it finds on the way is kept in the build
# folder, a crash in $(BUILD)/fuzz/<name>-crash-*.

FUZZ_TARGETS := frame deflate envelope jwt bus rpc event text words form \
                transcript
FUZZ_BINS    := $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz_%)
FUZZ_SECONDS ?= 3600
FUZZ_CC      ?= clang
FUZZ_CFLAGS  := -I. -std=gnu11 -Wall -Wextra -Werror -O1 -g \
                -fno-omit-frame-pointer -fno-sanitize-recover=all \
                -fsanitize=fuzzer,address,undefined

TEST_RESULTS ?= $(abspath build/test-results)

.PHONY: fuzz fuzz-short

fuzz: $(FUZZ_BINS)
	@tests/fuzz/run.sh $(TEST_RESULTS)/fuzz.txt $(FUZZ_SECONDS) $(FUZZ_BINS)

fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=60

FUZZ_words      := worker/store/words.c worker/store/words_query.c \
                   worker/store/words_mark.c worker/store/store_mem.c
FUZZ_LIBS_words := -lutf8proc
FUZZ_form       := worker/files/upload/upload_form.c \
                   worker/files/upload/upload_file.c \
                   worker/files/upload/upload_mime.c \
                   worker/files/upload/upload_name.c
FUZZ_LIBS_form   = $(shell pkg-config --cflags --libs gmime-3.0) -lcrypto
FUZZ_transcript := $(wildcard worker/session/transcript*.c) \
                   worker/session/session_text.c \
                   worker/session/session_lexicon.c \
                   worker/store/words.c worker/store/store_mem.c
FUZZ_LIBS_transcript := -lutf8proc -lcrypto

# What these call, not all that stands in their files
FUZZ_event      := worker/projector/event.c worker/projector/event_pick.c \
                   worker/pool/util.c worker/pool/log.c
FUZZ_LIBS_event := -lyajl
FUZZ_rpc        := worker/api/api_call.c worker/api/api_route.c \
                   worker/pool/redis.c worker/pool/util.c worker/pool/log.c
FUZZ_LIBS_rpc   := -lhiredis -no-pie -Wl,--unresolved-symbols=ignore-all

# The module's own file with nginx's own strings and pools, in which each piece
# of memory is one of malloc()'s
FUZZ_NGINX      := build/deps/nginx-1.22.1/src
FUZZ_jwt        := ngx_writeen_module/ngx_http_writeen_auth.c
FUZZ_LIBS_jwt   := $(FUZZ_NGINX)/core/ngx_string.c \
                   $(FUZZ_NGINX)/core/ngx_palloc.c \
                   $(FUZZ_NGINX)/os/unix/ngx_alloc.c \
                   -DNGX_DEBUG_PALLOC=1 -Wno-unused-parameter \
                   -fno-sanitize=nonnull-attribute -ljwt -lcrypto \
                   -no-pie -Wl,--unresolved-symbols=ignore-all
FUZZ_FLAGS_jwt  := $(addprefix -I$(FUZZ_NGINX)/,core event event/modules \
                     os/unix http http/modules http/v2) \
                   -I$(BUILD)/nginx-dyn -Ingx_writeen_module
FUZZ_NEEDS_jwt  := fuzz-nginx

.PHONY: fuzz-nginx

fuzz-nginx: module
	@tools/nginx.sh source 1.22.1 > /dev/null

.SECONDEXPANSION:

# The sources anew: the library is not instrumented
$(FUZZ_BINS): $(BUILD)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(COMMON_SRCS) \
        $(wildcard common/*.h worker/store/words.h worker/files/upload/*.h \
                    worker/session/*.h tests/fuzz/*.h tests/unit/wire.h \
                    worker/worker.h worker/api/api.h) \
        $$(FUZZ_$$*) | $$(FUZZ_NEEDS_$$*)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) $(FUZZ_FLAGS_$*) -o $@ $< $(COMMON_SRCS) \
	    $(FUZZ_$*) \
	    $(COMMON_LIBS) $(FUZZ_LIBS_$*)
