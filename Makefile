# `make demo` and `make test` need Python 3.11 or newer and pip's own package index, and nothing else.
# Pip is used as the machine has it configured. Everything that it installs is pinned in constraints.txt.

PYTHON ?= python3
TEST_WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install -qq --no-input -c constraints.txt

# One stamp for each completed install; an install that was interrupted leaves none and is repeated.
TORCH := $(VENV)/.torch-installed
PACKAGE := $(VENV)/.package-installed
DEVELOPMENT := $(VENV)/.development-installed
HUB := $(VENV)/.hub-installed
TRITON := .triton/.installed

# Pyright's wrapper would look for a newer version of itself on the network at every start.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-hub test-kernels format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' Makefile

demo: $(PACKAGE) ## install, train two small models on text of this machine, show the result
	$(BIN)/tiedlm demo

# The tests' models are so small that a second thread only costs time, on a busy machine a lot of it.
test: export OMP_NUM_THREADS ?= 1
test: $(DEVELOPMENT) ## install with the development tools; lint, format, types and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest -n $(TEST_WORKERS) --dist loadfile

test-hub: export OMP_NUM_THREADS ?= 1
test-hub: $(HUB) ## tests of the loss in Hugging Face's models and trainers (200 MB more to download, once)
	$(BIN)/pytest tests/hub

# Beside .venv and not in it, so that `make test` sees what a clean checkout sees.
test-kernels: export OMP_NUM_THREADS ?= 1
test-kernels: $(TRITON) ## tests of the Triton kernels, interpreted on a CPU (300 MB more to download, once)
	PYTHONPATH=.triton $(BIN)/pytest tests/losses/test_backends.py

format: $(DEVELOPMENT) ## fix what ruff can fix, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv, .triton, caches and the demo's runs; keep runs/ and results/
	rm -rf $(VENV) .triton .demo dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Torch comes first and by its exact version: with none installed, an open range may take a build of several gigabytes.
$(TORCH): constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'tiedlm needs Python 3.11 or newer, but $(PYTHON) is older or absent. Try: make PYTHON=python3.11 ...' >&2; exit 1; }
	@echo 'Making $(VENV) and installing torch (about 200 MB to fetch; once) ...'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(INSTALL) "$$(grep '^torch==' constraints.txt)"
	@touch $@

$(PACKAGE): $(TORCH) pyproject.toml
	@echo 'Installing tiedlm and what it needs ...'
	@$(INSTALL) hatchling
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

$(DEVELOPMENT): $(PACKAGE)
	@echo 'Installing the development extras ...'
	@$(INSTALL) --no-build-isolation -e '.[dev]'
	@touch $@

$(HUB): $(DEVELOPMENT)
	@echo 'Installing transformers, accelerate and Lightning (about 200 MB to fetch; once) ...'
	@$(INSTALL) --no-build-isolation -e '.[dev,hub]' lightning
	@touch $@

$(TRITON): $(DEVELOPMENT)
	@echo 'Installing Triton beside .venv (about 300 MB to fetch; once) ...'
	@$(INSTALL) --no-deps --target .triton --upgrade triton
	@touch $@
