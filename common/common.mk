# common.mk: the code that module, worker and tests share, as a library.
# nginx compiles the same files by itself (see `config`).

COMMON_SRCS := common/wrt_bus.c common/wrt_command.c common/wrt_deflate.c \
               common/wrt_envelope.c common/wrt_frame.c \
               common/wrt_id.c common/wrt_names.c common/wrt_send.c \
               common/wrt_url.c common/wrt_utf8.c
COMMON_OBJS := $(COMMON_SRCS:%.c=$(BUILD)/%.o)
COMMON_LIB  := $(BUILD)/libwrt_common.a
COMMON_LIBS := -ljansson -lz

$(COMMON_LIB): $(COMMON_OBJS)
	rm -f $@
	$(AR) rcs $@ $(COMMON_OBJS)

$(BUILD)/common/%.o: common/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fPIC -MMD -MP -c -o $@ $<

-include $(COMMON_OBJS:.o=.d)
