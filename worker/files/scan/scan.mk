# scan.mk: the scanner as a library, for the worker and for tests.  Included by
# whoever needs it; only the first time counts.

ifndef SCAN_LIB

include worker/files/jail/jail.mk

SCAN_SRCS := $(wildcard worker/files/scan/*.c)
SCAN_OBJS := $(SCAN_SRCS:%.c=$(BUILD)/%.o)
SCAN_LIB  := $(BUILD)/libwrt_scan.a

SCAN_CFLAGS := $(shell pkg-config --cflags libclamav)
SCAN_LIBS   := $(shell pkg-config --libs libclamav)

$(SCAN_LIB): $(SCAN_OBJS)
	rm -f $@
	$(AR) rcs $@ $(SCAN_OBJS)

$(BUILD)/worker/files/scan/%.o: worker/files/scan/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SCAN_CFLAGS) -MMD -MP -c -o $@ $<

-include $(SCAN_OBJS:.o=.d)

endif
