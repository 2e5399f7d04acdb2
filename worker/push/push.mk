# push.mk: pushes to devices as a library, for the worker and for tests.
# Included by whoever needs it; only the first time counts.

ifndef PUSH_LIB

PUSH_SRCS := $(wildcard worker/push/*.c)
PUSH_OBJS := $(PUSH_SRCS:%.c=$(BUILD)/%.o)
PUSH_LIB  := $(BUILD)/libwrt_push.a

PUSH_CFLAGS := $(shell pkg-config --cflags libcurl glib-2.0)
PUSH_LIBS   := $(shell pkg-config --libs libcurl glib-2.0) -ljwt -ljansson \
               -lcrypto

$(PUSH_LIB): $(PUSH_OBJS)
	rm -f $@
	$(AR) rcs $@ $(PUSH_OBJS)

$(BUILD)/worker/push/%.o: worker/push/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(PUSH_CFLAGS) -MMD -MP -c -o $@ $<

-include $(PUSH_OBJS:.o=.d)

endif
