# images.mk: docker/*.Dockerfile built for real, and what they make is used.
# Needs root, buildah and debootstrap; takes minutes, and a gigabyte or two of
# IMAGES_DIR, where the base image stays for the next time.

IMAGES_DIR ?= $(abspath build/images)

.PHONY: images images-build

images-build:
	@tests/images/build.sh $(IMAGES_DIR)

images: images-build $(E2E_VENV)/ok
	@$(E2E_ENV) TEST_RESULTS=$(TEST_RESULTS) tools/leash.py unshare --net \
	    $(E2E_VENV)/bin/python tests/images/images.py $(IMAGES_DIR)
