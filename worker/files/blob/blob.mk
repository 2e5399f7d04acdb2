# blob.mk: the storage of files as a library, for the worker and for tests.
# Included by whoever needs it; only the first time counts.

ifndef BLOB_LIB

BLOB_SRCS := $(wildcard worker/files/blob/*.c)
BLOB_OBJS := $(BLOB_SRCS:%.c=$(BUILD)/%.o)
BLOB_LIB  := $(BUILD)/libwrt_blob.a

BLOB_CFLAGS := $(shell pkg-config --cflags libcurl expat)
BLOB_LIBS   := $(shell pkg-config --libs libcurl expat) -lcrypto

$(BLOB_LIB): $(BLOB_OBJS)
	rm -f $@
	$(AR) rcs $@ $(BLOB_OBJS)

$(BUILD)/worker/files/blob/%.o: worker/files/blob/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(BLOB_CFLAGS) -MMD -MP -c -o $@ $<

-include $(BLOB_OBJS:.o=.d)

endif
