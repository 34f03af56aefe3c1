# Two commands do everything on a fresh machine with Python 3.11+ and make: `make demo`, `make test`.

PYTHON ?= python3
VENV   ?= .venv
PY     := $(VENV)/bin/python
LOWEST ?= .venv-lowest
N      ?= 50
REF    ?= HEAD~1

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-lowest check fmt lint types torture faults bench train wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.made: ## the virtual environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pictor needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …" or 0)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@echo 'installing pictor and what it needs into $(VENV)…'
	@$(PY) -m pip install -qq --disable-pip-version-check --editable '.[demo,models,serve]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	@echo 'installing pictor and what its tests need into $(VENV)…'
	@$(PY) -m pip install -qq --disable-pip-version-check --editable '.[demo,dev,models,raw,serve,video]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo ## index and search some real photos, and write a page to look at
	@$(VENV)/bin/pictor demo demo

test: $(VENV)/.dev ## run all tests
	$(PY) -m pytest -n auto --dist loadfile

test-quick: $(VENV)/.dev ## the tests without processes and torch, for after each edit
	$(PY) -m pytest -n auto --dist loadfile --quick -q

# torch comes first and as pip finds it, a build for the CPU where pip is shown one; uv leaves it so,
# and its dependencies too, of which filelock is one of ours.
$(LOWEST)/.dev: pyproject.toml
	@echo 'installing the oldest releases that pictor takes into $(LOWEST)…'
	@$(PYTHON) -m venv $(LOWEST)
	@$(LOWEST)/bin/python -m pip install -qq --disable-pip-version-check uv 'torch<2.14'
	@UV_FIND_LINKS="$$($(LOWEST)/bin/python -m pip config get global.find-links 2>/dev/null)" \
		$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --reinstall-package filelock \
		--resolution lowest-direct --editable '.[demo,dev,models,raw,serve,video]'
	@touch $@

test-lowest: $(LOWEST)/.dev ## run all tests with the oldest releases that pictor takes
	$(LOWEST)/bin/python -m pytest -n auto --dist loadfile

check: $(VENV)/.dev lint types test ## formatting, linters, types, tests: what CI runs

fmt: $(VENV)/.dev ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lint: $(VENV)/.dev ## formatting and linters
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

types: $(VENV)/.dev ## mypy --strict
	$(VENV)/bin/mypy

torture: $(VENV)/.dev ## kill the indexer N times at random moments (N=50) and check what is left
	$(PY) tests/torture.py --kills $(N)

faults: $(VENV)/.dev ## draw small faults into files that differ from a commit (REF=HEAD~1)
	$(PY) tests/faults.py --changed $(REF) -n 60

bench: $(VENV)/.dev ## run the benchmarks (minutes)
	for b in base_size index_throughput cold_query rescan words ranking; do $(PY) benchmarks/$$b.py || exit 1; done

wheel: $(VENV)/.dev ## build the source distribution, and from it the wheel, into dist/
	$(PY) -m build

clean: ## remove the environment and what the demo made
	rm -rf $(VENV) $(LOWEST) demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
