# Two commands do everything on a fresh machine: `make lab` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup lab test lint types layers policies unit e2e test-kube test-kube-drills test-scenarios bench bench-gate bench-serving bench-grading drills image clean lock

help: ## Explain the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"archlab needs Python 3.11 to 3.13; this is {v[0]}.{v[1]}. Next: make setup PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) ..."
	@$(BIN)/python -c 'import uv' 2>/dev/null || $(BIN)/python -m pip --quiet --disable-pip-version-check install "$$(sed -nE 's/^(uv==[^ ]+).*/\1/p' requirements.lock)"
	@$(BIN)/python -m uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

setup: $(STAMP) ## Make .venv from the lock and install archlab into it

lab: setup ## Bring the ten-model lab up
	@$(BIN)/archlab doctor >/dev/null || $(BIN)/archlab doctor
	@$(BIN)/archlab up ten-models
	@echo 'Put archlab on your path for this shell:  source $(BIN)/activate'

test: lint e2e unit ## Everything that a change needs: lint, types, layers, policies, unit and end-to-end tests

lint: setup ## ruff, mypy, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup ## Unit tests, policy tests included
	$(BIN)/pytest -q --ignore tests/e2e --ignore tests/kube --ignore tests/scenarios --numprocesses 2 --dist loadfile --durations 12

e2e: setup ## One real ten-model lab, used by every test in tests/e2e
	$(BIN)/pytest -q tests/e2e --durations 12

test-kube: setup ## Tests on the Kubernetes cluster that KUBECONFIG names; they install and remove archlab there; the images must be there
	$(BIN)/pytest -q tests/kube/cluster --durations 5
	$(BIN)/pytest -q tests/kube/lab --durations 12
	$(BIN)/pytest -q tests/kube/teams --durations 12

test-kube-drills: setup ## Drills on that cluster, five minutes
	$(BIN)/pytest -q tests/kube/drills --durations 8

test-scenarios: setup ## Prove on live labs that every scenario's questions hold, and that the authors' guide does; takes half an hour
	$(BIN)/pytest -q tests/scenarios --durations 5

bench: setup ## Measure start-up, a replayed day, memory; print a table
	$(BIN)/python benchmarks/lab.py

bench-gate: setup ## Measure a decision on both engines, and what the gate adds to a promotion
	PYTHONPATH=tests/support $(BIN)/python -m benchmarks.gate $(ARGUMENTS)

bench-serving: setup ## Measure the inference server beside MLServer, MLflow, BentoML, KServe and bare ASGI apps
	$(BIN)/python -m benchmarks.serving $(ARGUMENTS)

bench-grading: setup ## Measure grading from evidence, its size, and a regrade of a hundred attempts
	$(BIN)/python benchmarks/grading.py

drills: setup ## Kill a region 50 times and count what is lost; then every drill in both postures, five times: half an hour
	$(BIN)/python -m benchmarks.drills kills
	$(BIN)/python -m benchmarks.drills table

image: setup ## Build the images of labs on a cluster (docker or podman)
	$(BIN)/archlab image build $(if $(ARGUMENTS),-- $(ARGUMENTS))

lock: ## Resolve requirements.lock anew, and with its versions what goes into the images
	uv pip compile pyproject.toml --extra dev --extra kube --extra recovery --extra stores --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' -o requirements.lock
	for image in 'platform:pyproject.toml --extra recovery --extra stores' serving:images/serving.in; do \
	  uv pip compile $${image#*:} --constraint requirements.lock --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' -o images/$${image%%:*}.lock; \
	done

clean: ## Stop labs and delete .archlab, .venv and caches
	@-for lab in $$(ls .archlab/*/lab.json 2>/dev/null | xargs -r -n1 dirname | xargs -r -n1 basename); do $(BIN)/archlab down --lab $$lab --purge; done
	rm -rf .archlab $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
