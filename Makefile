# One verb, one target. Each sets up what it needs: .venv with the versions of constraints.txt.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CHECKED := nasplat search_spaces predictors
# Tests that take about as long as all others.
HALF := tests/search_spaces tests/evaluate $(wildcard tests/ops/test_[a-m]*.py)
# Tests of what a clock says, run when the machine has nothing else to do.
ALONE := tests/hardware/test_latency.py

# One thread per process: trials run side by side.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-all check format bench clean help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/make \1|\2/' | column -t -s '|'

$(STAMP): pyproject.toml constraints.txt hatch_build.py
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("nasplat needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,postgres]'
	touch $@

demo: $(STAMP)  ## search hybrid-vit on the digits for three minutes, export and verify a winner
	@study=demo
	if $(BIN)/nasplat status "$$study" >/dev/null 2>&1; then study="demo-$$(date +%Y%m%d-%H%M%S)"; fi
	$(BIN)/nasplat search --space hybrid-vit --task digits --budget 3min --epochs 6 --eta 2 --final-epochs 40 \
	  --objective accuracy:max --objective latency_ms:min --objective weight_bytes:min \
	  --constraint "accuracy>=0.9" --study "$$study"
	$(BIN)/nasplat export "$$study" --best accuracy

test: SELECTED := -m "not slow"
test:  ## the tests that take seconds each
test-all:  ## every test
test test-all: $(STAMP)
	@mkdir -p build  # two halves side by side, one for each core
	$(BIN)/python -m pytest $(SELECTED) -p no:cacheprovider $(HALF) > build/half.log 2>&1 & half=$$!
	$(BIN)/python -m pytest $(SELECTED) $(addprefix --ignore=,$(HALF) $(ALONE)) || failed=1
	wait $$half || failed=1
	$(BIN)/python -m pytest $(SELECTED) $(ALONE) || failed=1
	cat build/half.log
	exit $${failed:-0}

check: $(STAMP)  ## formatting, lint, types, import floors, and the wheel in an empty environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CHECKED)
	$(BIN)/lint-imports
	.ci/check-wheel $(BIN)/python

format: $(STAMP)  ## rewrite the sources in the common form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## measure the figures of the README; DATA=folder adds the published tables
	for name in space_speed store_speed inline_overhead latency_noise ray_overhead; do
	  echo "== benchmarks/$$name.py"; $(BIN)/python "benchmarks/$$name.py"
	done
	NASPLAT=$(BIN)/nasplat benchmarks/tables.sh $(DATA)

clean:  ## remove the environment and every cache; studies in runs/ and exports/ stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find nasplat search_spaces predictors db tests -name __pycache__ -type d -prune -exec rm -rf {} +
