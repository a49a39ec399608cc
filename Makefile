# Every target first makes .venv ready: with uv where it is found, else with python3 -m venv and pip.
# Arguments are handed through: make demo ARGS="--seconds 20 --headless"

ARGS ?=
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench pacing affinity ivt load soak audit dashboards lock chart clean

help: ## what can be made
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## install everything into .venv

ifneq ($(UV),)
.venv/.ready: pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --all-extras --python '>=3.11'
	@touch $@
else
.venv/.ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Paceline needs Python 3.11 or later: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "python3 -m venv failed: install the package python3-venv, or uv"; rm -rf .venv; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
endif

demo: setup ## the whole thing on this machine, for a minute
	@$(BIN)/paceline demo $(ARGS)

test: setup helm ## every test
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

chart: setup ## the Helm chart: its schema of settings anew, lint, renders, Kubernetes' schemas (helm is fetched once)
	@$(BIN)/python -m tests.chart.tools >/dev/null
	@$(BIN)/python -m helm.settings
	@$(BIN)/python -m pytest -q tests/chart $(ARGS)

.PHONY: helm
helm: setup # tests of the chart skip, saying so, where it cannot be had
	@$(BIN)/python -m tests.chart.tools >/dev/null || true

check: setup ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## what a bid costs, as ratios to yardsticks
	@$(BIN)/python -m benchmarks.bench $(ARGS)

pacing: setup ## how well budgets are paced, on real auction logs and dense traffic
	@$(BIN)/python -m benchmarks.pacing $(ARGS)

affinity: setup ## how often the next product is foreseen, on real shop sessions
	@$(BIN)/python -m benchmarks.affinity $(ARGS)

ivt: setup ## how well invalid traffic is told, on lists of crawlers and networks and on simulated bots
	@$(BIN)/python -m benchmarks.ivt $(ARGS)

load: setup ## Locust for a minute against a service of its own
	@$(BIN)/python -m benchmarks.locust_run $(ARGS)

soak: setup ## five minutes (--minutes) of steady load on a service of its own: memory, descriptors, latencies, audit
	@$(BIN)/python -m benchmarks.soak $(ARGS)

audit: setup ## known vulnerabilities and licences of everything that is installed
	@$(BIN)/python .ci/audit.py $(ARGS)

dashboards: setup ## Grafana's dashboards and the catalogue of metrics, from code
	@$(BIN)/python -m helm.build $(ARGS)

lock: ## all lock files anew, after a change to pyproject.toml (needs uv)
	@uv lock $(ARGS)
	@uv export --quiet --frozen --all-extras --group build --no-emit-project --no-header --output-file requirements.lock
	@uv export --quiet --frozen --extra train --no-emit-project --no-header --output-file requirements-runtime.lock
	@uv export --quiet --frozen --only-group build --no-header --output-file requirements-build.lock

clean: ## remove what make made
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
