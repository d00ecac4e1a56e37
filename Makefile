# `make help` lists what there is. Everything runs in .venv, which `make setup` makes.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
# A folder without tests yet is left out.
SUITES := $(wildcard $(addprefix tests/,unit core api policy contract dataplane functional architecture))
# More than there are cores: two begin with the tests that wait more than they compute (tests/schedule.py).
WORKERS ?= $(shell echo $$(($$(nproc) + 2)))
LIST ?=

.PHONY: help setup demo test check fix conformance conformance-passing bench bench-peers chaos policy migration clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Install what is missing: apt packages (as root) and the Python environment in .venv

$(VENV)/.ready: pyproject.toml uv.lock packages.txt scripts/setup.sh
	@UV_PROJECT_ENVIRONMENT=$(VENV) scripts/setup.sh
	@touch $@

demo: setup ## Start a cloud, do the main job with the openstack client, leave the cloud running
	@PATH="$(CURDIR)/$(BIN):$$PATH" python -m scripts.demo

test: setup ## Run the tests: unit, core, API, policy, contract, data plane, functional, architecture
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile $(SUITES)

check: setup ## Lint, formatting, types, import contracts, lock file
	@good=true; \
	$(BIN)/ruff check --quiet --output-format concise . || good=false; \
	$(BIN)/ruff format --quiet --check . || { echo 'not formatted; `make fix` repairs it'; good=false; }; \
	$(BIN)/mypy || good=false; \
	PYTHONPATH=src $(BIN)/lint-imports --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log; good=false; }; \
	$(BIN)/uv lock --quiet --check || { echo 'uv.lock does not match pyproject.toml; `uv lock` repairs it'; good=false; }; \
	$$good

fix: setup ## Repair formatting and what the linter can
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

conformance: setup ## Run Tempest and friends against a cloud (LIST=file; default: every list)
	@$(BIN)/python tests/conformance/run.py $(LIST)

conformance-passing: setup ## Run the conformance tests that have passed before; fail if one breaks
	@$(BIN)/python tests/conformance/run.py --passing

bench: setup ## Measure against peers and physical limits; writes bench/results.json
	@$(BIN)/python -m bench.run

bench-peers: setup ## Install the real services that bench compares with (apt and PyPI packages, into .cache)
	@$(BIN)/python -m bench.peers install

chaos: setup ## Kill, cut and fill; then nothing is lost or left over (minutes)
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/chaos

policy: setup ## Write the tables of who may do what and docs/policy.md anew; review what has changed
	@$(BIN)/python -W ignore -m tests.policy.walk
	@$(BIN)/stackyard policy list --markdown > docs/policy.md

migration: setup ## Write the migration from the last revision to today's tables (MESSAGE="what changes")
	@$(BIN)/python scripts/new_migration.py $(MESSAGE)

clean: ## Remove caches and what was built (not .venv, not any cloud's state)
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
