# `make demo` shows a fleet at work, `make test` checks everything; both set up what they need in .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TOOLKIT := $(BIN)/toolkit
PIP := $(BIN)/pip --disable-pip-version-check install -q
TOKEN_FILE ?=

# With it, each of the thousand short commands of the tests would compile what it imports once more.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo demo-stop test lint unit bench lock clean

help:
	@echo "make demo                  run three bots under a private supervisord, against a local Bot API"
	@echo "make demo TOKEN_FILE=path  the same with real tokens, one a line"
	@echo "make demo-stop             end it"
	@echo "make test                  lints, types and all tests"
	@echo "make bench                 speed and memory, as ratios"

setup: $(VENV)/.ready

$(VENV)/bin/python:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing python3-venv"; \
	    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv >/dev/null; \
	  else \
	    echo "error: this Python has no venv" >&2; \
	    echo "hint: sudo apt-get install python3-venv" >&2; exit 1; \
	  fi; }
	@echo "setting up $(VENV), about half a minute"
	@$(PYTHON) -m venv $(VENV)

# The build backends are pinned too: nothing is fetched that a lock file does not name.
$(VENV)/.ready: requirements.lock requirements-build.lock pyproject.toml | $(VENV)/bin/python
	@$(PIP) --require-hashes --only-binary :all: -r requirements-build.lock
	@$(PIP) --require-hashes --no-build-isolation -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	@$(PIP) --require-hashes --no-build-isolation -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.ready
	@TOOLKIT=$(TOOLKIT) TOKEN_FILE='$(TOKEN_FILE)' sh tests/demo.sh start

demo-stop:
	@TOOLKIT=$(TOOLKIT) sh tests/demo.sh stop

lint: $(VENV)/.ready-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

unit: $(VENV)/.ready-dev
	@$(BIN)/pytest -q -n $$(nproc) tests/unit tests/plans tests/golden tests/test_*.py

# Tests wait as much as they compute, hence one worker more than there are processors. A file is one worker's: its
# tests share hosts, and some their order. Files begin as tests/conftest.py has ordered them.
test: lint
	@$(BIN)/pytest -q -n $$(($$(nproc) + 1)) --dist loadfile --no-loadscope-reorder

bench: $(VENV)/.ready-dev
	@$(BIN)/python tests/bench

# Needs uv. The lock files name versions and hashes, and no index.
lock:
	printf 'editables\nhatchling\npip\nsetuptools\n' | \
	  uv pip compile -q --upgrade --no-annotate --generate-hashes --no-header --python-version 3.11 - -o requirements-build.lock
	uv pip compile -q --upgrade --no-annotate --generate-hashes --no-header --python-version 3.11 --extra sandbox --extra systemd --extra verify \
	  -c requirements-build.lock \
	  pyproject.toml -o requirements.lock
	uv pip compile -q --upgrade --no-annotate --generate-hashes --no-header --python-version 3.11 --extra dev \
	  -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
