# upload.mk: what becomes of bytes that others sent, as a library for the
# worker and for tests, and the program that makes thumbnails.  Included by
# whoever needs it; only the first time counts.

ifndef UPLOAD_LIB

UPLOAD_SRCS := $(wildcard worker/files/upload/*.c)
UPLOAD_OBJS := $(UPLOAD_SRCS:%.c=$(BUILD)/%.o)
UPLOAD_LIB  := $(BUILD)/libwrt_upload.a

UPLOAD_CFLAGS := $(shell pkg-config --cflags gmime-3.0 libzip)
UPLOAD_LIBS   := $(shell pkg-config --libs gmime-3.0 libzip) -lmagic -lcrypto

$(UPLOAD_LIB): $(UPLOAD_OBJS)
	rm -f $@
	$(AR) rcs $@ $(UPLOAD_OBJS)

$(BUILD)/worker/files/upload/%.o: worker/files/upload/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(UPLOAD_CFLAGS) -MMD -MP -c -o $@ $<

-include $(UPLOAD_OBJS:.o=.d)

endif
