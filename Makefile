# Every target sets itself up: a virtual environment with pinned dependencies, made once.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One thread per test process: the tests run in parallel.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

.PHONY: demo docs test test-all lint bench clean-demo
.DELETE_ON_ERROR:

# torch first and pinned: any looser installation draws gigabytes of GPU libraries onto a machine without one.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/python -m pip install --quiet --disable-pip-version-check torch
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(READY)  ## Simulate, pretrain, train, inpaint, export and infer; ends with a table
	$(BIN)/python macro/demo.py

clean-demo:  ## Forget the demo's data and runs
	rm -rf data/quick artifacts/demo_mae artifacts/demo_regressor artifacts/demo_inpainter

docs: $(READY)  ## The documentation as a site in site/; broken links and pages without a place in it are errors
	$(BIN)/python -c 'import material' 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

test: $(READY)  ## What every change must pass
	$(PYTEST) -m "not slow and not gpu and not root and not server and not slurm and not browser"

test-all: $(READY)  ## The slow suites too
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt ROOT || true
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt -e '.[remote,docs,browser]' || true
	command -v xrootd >/dev/null && command -v slurmctld >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq xrootd-server slurm-wlm slurm-wlm-basic-plugins munge; } || true
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; } || true
	$(PYTEST)

lint: $(READY)  ## Style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## Every benchmark, one JSON object per line
	for benchmark in macro/benchmark_*.py; do $(BIN)/python $$benchmark --json || exit 1; done
