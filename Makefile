# Everything a developer or CI runs. `make` alone lists it.

VENV   ?= .venv
PYTHON := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
# Tests wait for servers about as long as they compute.
JOBS   ?= $(shell echo $$((2 * $$(nproc))))
PORT   ?= 8080
# What servers of tests keep their rows in: sqlite or postgresql.
DATABASE ?= sqlite

# What differs by the store and not by the page or the setting: flows, published clients, faults of protocols, histories.
ON_CEPH := tests/contract tests/clients tests/wire/test_fault_matrix.py tests/model

# Where `make services` puts S3 stores, and Node.js on a machine whose own is missing or too old, and where Debian has clamd.
export PATH := $(CURDIR)/.services/nodejs/bin:$(CURDIR)/.services/stores/bin:$(PATH):/usr/sbin

# Some images say so for the sake of their layers; here it would have every process compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test soak check format bench services lock clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(STAMP) ## Make the virtual environment from requirements.lock
	@:

run: setup ## Start the server on 127.0.0.1:$PORT (8080) with its data in ./data, and hand a first file over
	@$(PYTHON) scripts/first_upload.py --port $(PORT)

test: setup ## Run the test suite; STRICT=1 makes a skipped test a failure, DATABASE=postgresql runs it on PostgreSQL
	@TESTS_DATABASE=$(DATABASE) $(PYTHON) -m pytest -m "not soak" -n $(JOBS) --maxprocesses 8 --dist worksteal $(if $(filter 1,$(STRICT)),--no-skips) $(ARGS)

soak: setup ## Run the long trials: many gigabytes, many kills, and without ARGS the suite on PostgreSQL and on Ceph
	@$(PYTHON) -m pytest -m soak $(ARGS)
	@$(if $(ARGS),:,$(MAKE) test DATABASE=postgresql)
	@$(if $(ARGS),:,$(MAKE) test DATABASE=postgresql ARGS="--store rgw $(ON_CEPH)")

check: setup ## Check format, lint, types, the generated client, the words of the docs and the direction of imports
	@$(PYTHON) -m ruff format --check --quiet .
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) scripts/blocking_client.py --check
	@$(PYTHON) scripts/prose.py
	@$(PYTHON) -m mypy
	@$(PYTHON) -m mypy scripts benchmarks tests/conftest.py tests/support
	@$(VENV)/bin/lint-imports --no-logo

format: setup ## Format the code, mend what ruff can mend, and generate the blocking client
	@$(PYTHON) -m ruff check --fix --quiet .
	@$(PYTHON) -m ruff format .
	@$(PYTHON) scripts/blocking_client.py

bench: setup ## Measure fileferry beside its alternatives
	@$(PYTHON) -m benchmarks $(ARGS)

services: ## Install what tests need beyond Python, with apt and npm
	@scripts/services.sh

lock: setup ## Write requirements.lock anew from pyproject.toml
	@scripts/lock.sh $(PYTHON)

clean: ## Remove the virtual environment and every cache; ./data stays
	@rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml
	@scripts/setup.sh $(VENV)
	@touch $@
