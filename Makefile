# `make run` is all a user needs; the path of this folder may have spaces, so only relative paths are used.
SHELL := /bin/sh
PYTHON := $(shell for name in python3.11 python3.12 python3.13 python3; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
BOOTSTRAP = @if [ -z "$(PYTHON)" ]; then echo "IPO needs Python 3.11 or newer: install it (Debian and Ubuntu:\
 apt install python3 python3-venv) and try again." >&2; exit 1; fi; exec "$(PYTHON)" ipo_site/launch/bootstrap.py

.PHONY: run test check lock

run:
	$(BOOTSTRAP) run

test:
	$(BOOTSTRAP) test $(ARGS)

check:
	$(BOOTSTRAP) check

lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-header --no-annotate -o requirements.lock
