# store.mk: the stores as a library, for the worker, tests and benchmarks.
# Included by whoever needs it; only the first time counts.

ifndef STORE_LIB

STORE_SRCS := $(wildcard worker/store/*.c worker/store/*/*.c)
STORE_OBJS := $(STORE_SRCS:%.c=$(BUILD)/%.o)
STORE_LIB  := $(BUILD)/libwrt_store.a

STORE_CFLAGS := $(shell pkg-config --cflags libmongoc-1.0)
STORE_LIBS   := $(shell pkg-config --libs libmongoc-1.0) -lsqlite3 -ljansson \
                -lutf8proc

$(STORE_LIB): $(STORE_OBJS)
	rm -f $@
	$(AR) rcs $@ $(STORE_OBJS)

$(BUILD)/worker/store/%.o: worker/store/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(STORE_CFLAGS) -MMD -MP -c -o $@ $<

-include $(STORE_OBJS:.o=.d)

endif
