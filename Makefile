# Needs only Python >= 3.11 and make. Everything is installed into .venv: for the demo what the package needs to run,
# for everything else the tools too.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
STAMP := $(VENV)/.installed
SITE_STAMP := $(VENV)/.site

.PHONY: demo test test-gateway lint types unit golden docs site chaos fuzz attack bench container audit sbom package lowest clean

$(RUNTIME): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; call: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $(RUNTIME)

$(STAMP): $(RUNTIME)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

$(SITE_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $(SITE_STAMP)

demo: $(RUNTIME)
	$(BIN)/openclaw-octo demo

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python

unit: $(STAMP)
	$(BIN)/pytest

# what is generated in docs/ written anew, the pictures too where there is a Chromium, and the site built of it; read the difference
docs: $(STAMP)
	OCTO_DOCS=write $(BIN)/pytest tests/docs tests/cli/browser/test_playground.py tests/cli/browser/test_status.py
	$(MAKE) site

# the documentation site, into site/; a link or an anchor that leads nowhere is an error (its own --clean would empty all of
# .cache, the installed gateways too)
site: $(SITE_STAMP)
	rm -rf site
	[ ! -d .cache ] || find .cache/ -maxdepth 1 -type f -delete
	$(BIN)/zensical build --strict

# what agents get to read, written anew into tests/golden; read the difference before you commit it
golden: $(STAMP)
	OCTO_GOLDEN=write $(BIN)/pytest tests/golden

chaos: $(STAMP)
	$(BIN)/python -m tests.chaos

# SEED=… FUZZ_INPUTS=… make fuzz
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz

# SEED=… SECONDS=… make attack: what members, agents and servers may send, in a long form
attack: $(STAMP)
	$(BIN)/python -m tests.hostile.long

# starts real OpenClaw gateways, with Node and OpenClaw from npm in .cache/; needs npm, half an hour and a gigabyte of memory;
# OCTO_GATEWAY_TABLE=1 renews the tables in docs/gateway.md, OCTO_GATEWAY_VERSIONS="2026.9.6 newest" chooses releases,
# AGAIN=1 runs only what failed the last time, JOBS=2 two files at a time: for a machine with processors to spare
test-gateway: $(STAMP)
	OCTO_LIVE_GATEWAY=1 $(BIN)/python -m pytest tests/live $(if $(JOBS),-n $(JOBS) --dist loadfile) $(if $(AGAIN),--last-failed)

# every benchmark against its floor; BENCH="packets store" for some, BENCH=--write to renew docs/performance.md
bench: $(STAMP)
	$(BIN)/python -m tests.bench $(BENCH)

# what the image of deploy/Dockerfile holds, built in a folder and run there as another user; needs the network
container: $(STAMP)
	$(BIN)/python -m tests.container

# known vulnerabilities of what the wheel brings along, by pip-audit; exit code 1 (make says "Error 1") for some, 3 where
# the database could not be asked about all of it: behind a mirror, without a network
audit: $(STAMP)
	$(BIN)/python -m tests.supply audit

# the wheel and its bill of materials (CycloneDX), into dist/
sbom: $(STAMP)
	$(BIN)/python -m tests.supply sbom

# sdist and wheel into dist/, checked; the wheel installed and its demo run with every Python from 3.11 on that is here
package: $(STAMP)
	$(BIN)/python -m tests.supply package

# some tests with the oldest versions of the dependencies that pyproject.toml allows
lowest: $(STAMP)
	$(BIN)/python -m tests.supply lowest

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
