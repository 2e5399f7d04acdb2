# thumb.mk: thumbnails: a library for the worker and for tests, and the program
# writeen-thumb.  Included by whoever needs it; only the first time counts.

ifndef THUMB_LIB

include worker/files/jail/jail.mk
include worker/files/upload/upload.mk

THUMB_LIB := $(BUILD)/libwrt_thumb.a
THUMB     := $(BUILD)/writeen-thumb

THUMB_DIR        := $(BUILD)/worker/files/thumb
THUMB_OBJS       := $(THUMB_DIR)/thumb.o
THUMB_CHILD_OBJS := $(THUMB_DIR)/thumb_child.o $(THUMB_DIR)/thumb_jail.o
THUMB_CFLAGS     := $(shell pkg-config --cflags vips)
THUMB_CHILD_LIBS := $(JAIL_LIBS) $(shell pkg-config --libs vips)

$(THUMB_LIB): $(THUMB_OBJS)
	rm -f $@
	$(AR) rcs $@ $(THUMB_OBJS)

$(THUMB): $(THUMB_CHILD_OBJS) $(JAIL_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(THUMB_CHILD_OBJS) $(JAIL_LIB) \
	    $(THUMB_CHILD_LIBS)

$(THUMB_DIR)/%.o: worker/files/thumb/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(THUMB_CFLAGS) -MMD -MP -c -o $@ $<

-include $(THUMB_OBJS:.o=.d) $(THUMB_CHILD_OBJS:.o=.d)

endif
