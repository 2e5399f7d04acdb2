# autobahn.mk: WebSocket conformance, by Autobahn|Testsuite.
#
#     make autobahn         all cases; installs the suite when it is missing
#     make autobahn-short   without large messages and the longest of the
#                           compression cases
#     make autobahn AUTOBAHN_CASES=7.*,6.4.1

AUTOBAHN       ?= $(abspath build/deps/autobahn)
AUTOBAHN_CASES ?= *

.PHONY: autobahn autobahn-short autobahn-echo

autobahn autobahn-short: module worker autobahn-echo
	@[ -x $(AUTOBAHN)/wstest ] || tools/install.sh test
	@AUTOBAHN=$(AUTOBAHN) tools/leash.py tests/autobahn/run.py \
	    $(if $(filter %-short,$@),--short) --cases '$(AUTOBAHN_CASES)'

autobahn-echo: module
	@tools/nginx.sh echo $(BUILD)/echo-dyn \
	    $(BUILD)/ngx_http_writeen_echo_module.so
