# worker.mk: unit tests of the worker's files that need neither Redis nor a
# store.

include worker/push/push.mk
include worker/store/store.mk

UNIT_WORKER_TESTS := event conf router body node file_link disposition may \
                     spool user util
UNIT_WORKER       := $(UNIT_WORKER_TESTS:%=$(BUILD)/unit/test_%)
UNIT_BINS         += $(UNIT_WORKER)

# The files under test; what else they call, the test stands in for.
UNIT_WORKER_event  := $(BUILD)/worker/projector/event.o \
                      $(BUILD)/worker/projector/event_pick.o
UNIT_WORKER_conf   := $(BUILD)/worker/conf/conf.o \
                      $(BUILD)/worker/conf/conf_files.o \
                      $(BUILD)/worker/conf/conf_scan.o \
                      $(BUILD)/worker/conf/conf_spool.o \
                      $(BUILD)/worker/conf/conf_session.o \
                      $(BUILD)/worker/conf/conf_push.o $(PUSH_LIB) \
                      $(STORE_LIB)
UNIT_WORKER_router := $(BUILD)/worker/api/api_route.o
UNIT_WORKER_body   := $(BUILD)/worker/api/api_body.o
UNIT_WORKER_node   := $(BUILD)/worker/pool/node.o
UNIT_WORKER_file_link   := $(BUILD)/worker/files/file_link.o
UNIT_WORKER_disposition := $(BUILD)/worker/files/disposition.o
UNIT_WORKER_user   := $(BUILD)/worker/pool/user.o
UNIT_WORKER_spool  := $(BUILD)/worker/files/spool.o
UNIT_WORKER_may    := $(BUILD)/worker/api/api_may.o

UNIT_WORKER_LIBS_event := -lyajl
UNIT_WORKER_LIBS_conf  := $(PUSH_LIBS) $(STORE_LIBS)

# the test sees how signatures are compared
UNIT_WORKER_LIBS_file_link := -Wl,--wrap=CRYPTO_memcmp -lcrypto

.SECONDEXPANSION:
$(UNIT_WORKER): $(BUILD)/unit/test_%: tests/unit/test_%.c $(COMMON_LIB) \
    $$(UNIT_WORKER_$$*) \
    $(BUILD)/worker/pool/log.o $(BUILD)/worker/pool/util.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -MT $@ -MF $@.d -o $@ $(filter %.c %.o,$^) \
	    $(filter $(PUSH_LIB) $(STORE_LIB),$^) \
	    $(COMMON_LIB) -lcmocka $(UNIT_WORKER_LIBS_$*) $(COMMON_LIBS) \
	    $(LDFLAGS)

-include $(UNIT_WORKER:%=%.d)
