# session.mk: tests of what sessions say about themselves, and of transcripts.
#
# `make unit` runs them among the others, `make unit-session` alone.

include worker/session/session.mk
include worker/store/store.mk

SESSION_TESTS := session_stats session_topics session_actions \
                 session_questions session_due session_text session_keep \
                 transcript transcript_pieces transcript_text
SESSION_PROGS := $(SESSION_TESTS:%=$(BUILD)/unit/test_%)
UNIT_BINS     += $(SESSION_PROGS)

TEST_RESULTS ?= $(abspath build/test-results)

.PHONY: unit-session

unit-session: $(SESSION_PROGS)
	@tests/unit/run.sh $(TEST_RESULTS)/unit-session.txt $(SESSION_PROGS)

$(SESSION_PROGS): $(BUILD)/unit/test_%: tests/unit/test_%.c \
                  tests/unit/session_fixture.h \
                  tests/unit/transcript_fixture.h tests/unit/unit.h \
                  $(SESSION_LIB) $(STORE_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $< $(SESSION_LIB) $(STORE_LIB) $(COMMON_LIB) \
	    -lcmocka $(SESSION_LIBS) $(COMMON_LIBS) $(LDFLAGS)
