# jail.mk: a process's filter as a library, for the scanner, for writeen-thumb
# and for tests.  Included by whoever needs it; only the first time counts.

ifndef JAIL_LIB

JAIL_OBJS   := $(BUILD)/worker/files/jail/jail.o
JAIL_LIB    := $(BUILD)/libwrt_jail.a
JAIL_CFLAGS := $(shell pkg-config --cflags libseccomp)
JAIL_LIBS   := $(shell pkg-config --libs libseccomp)

$(JAIL_LIB): $(JAIL_OBJS)
	rm -f $@
	$(AR) rcs $@ $(JAIL_OBJS)

$(BUILD)/worker/files/jail/%.o: worker/files/jail/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(JAIL_CFLAGS) -MMD -MP -c -o $@ $<

-include $(JAIL_OBJS:.o=.d)

endif
