# `make demo` makes a face smile; `make test` runs everything that CI runs. Both make .venv first, if it is missing.
#   make demo PYTHON=python3.12     another Python, 3.10 or newer
#   make demo VENV=/path/to/env     an environment of yours, with whatever torch is in it
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test clean

demo: $(VENV)/.lga-installed
	@mkdir -p out
	$(BIN)/lga animate $(firstword $(sort $(wildcard faces/*.png))) smiling --out out/smiling.mp4

test: $(VENV)/.lga-installed-dev
	PATH="$(abspath $(BIN)):$$PATH" .ci/check

clean:
	rm -rf .venv out build dist *.egg-info .pytest_cache .ruff_cache

# A torch that this Python already has is used, not downloaded again.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed: make PYTHON=/path/to/python3.10 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(if $(shell $(PYTHON) -c 'import torch' 2>/dev/null && echo yes),--system-site-packages) $(VENV)

$(VENV)/.lga-installed: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install -e .
	@touch $@

$(VENV)/.lga-installed-dev: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install -e '.[dev]'
	@touch $@ $(VENV)/.lga-installed
