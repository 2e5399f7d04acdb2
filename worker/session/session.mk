# session.mk: what sessions say about themselves and their transcripts, as a
# library for the worker and for tests.  It folds words as the stores do: link
# $(STORE_LIB) behind it.  Included by whoever needs it; only the first time
# counts.

ifndef SESSION_LIB

SESSION_SRCS := $(wildcard worker/session/*.c)
SESSION_OBJS := $(SESSION_SRCS:%.c=$(BUILD)/%.o)
SESSION_LIB  := $(BUILD)/libwrt_session.a
SESSION_LIBS := -ljansson -lutf8proc -lcrypto

$(SESSION_LIB): $(SESSION_OBJS)
	rm -f $@
	$(AR) rcs $@ $(SESSION_OBJS)

$(BUILD)/worker/session/%.o: worker/session/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(SESSION_OBJS:.o=.d)

endif
