# Needs only make and Python >= 3.11. `make PYTHON=python3.12 …` picks another interpreter.
PYTHON ?= python3
HEADLESS ?= $(CI)
BIN := .venv/bin
STAMP := .venv/.installed
LOCK := build/lock
CODE := $(wildcard livebatch tests scripts benchmarks)
ALLOW_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
FAULTS ?= 100
WITH_BROWSER := CHROMIUM=$$(scripts/ensure_browser.sh) && export CHROMIUM &&
PYTEST := $(BIN)/pytest --doctest-modules livebatch tests

.DEFAULT_GOAL := help
.PHONY: help demo install test fast lint format bench chaos screenshots lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1: /p' $(MAKEFILE_LIST)

demo: install ## open the quickstart in JupyterLab (HEADLESS=1: run it in a browser and check it)
ifneq ($(filter 1 true,$(HEADLESS)),)
	$(WITH_BROWSER) $(BIN)/python scripts/demo_headless.py
else
	$(BIN)/jupyter lab $(ALLOW_ROOT) notebooks/01_quickstart.ipynb
endif

install: $(STAMP) ## make .venv, or bring it up to date

$(STAMP): pyproject.toml constraints.txt
	scripts/make_venv.sh .venv '$(PYTHON)'
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

test: lint ## lint, then the unit, process, chaos and browser tests
	S3_SERVER=$$(scripts/ensure_s3.sh '$(PYTHON)') && export S3_SERVER && \
	$(PYTEST) -n 2 -m "not browser and not chaos"
	$(BIN)/pytest -m chaos tests/chaos
	$(WITH_BROWSER) $(BIN)/pytest -m browser

fast: install ## the unit tests alone
	$(PYTEST) -m "not browser and not process and not slow and not chaos"

screenshots: install ## make the pictures in docs/images
	$(WITH_BROWSER) PYTHONPATH=scripts:. $(BIN)/python scripts/screenshots.py

lint: install ## format, lint, file length, import contract, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	scripts/check_length.sh $(CODE)
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

format: install ## format, and fix what lint can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## run the benchmarks
	$(WITH_BROWSER) $(BIN)/python -m benchmarks

chaos: install ## kill, stop, tear and fill until FAULTS faults have done harm (SEED=1: the same ones)
	$(BIN)/python -m tests.chaos $(FAULTS) $(SEED)

# Run it with the oldest Python supported, so that every pin exists for every Python supported.
# ipykernel 7.3.0 handles widget events during a busy cell, which 7.4.0 delays.
lock: ## pin every dependency's newest version in constraints.txt
	rm -rf $(LOCK)
	scripts/make_venv.sh $(LOCK) '$(PYTHON)'
	$(LOCK)/bin/python -m pip install --disable-pip-version-check -e '.[dev]' ipykernel==7.3.0
	{ echo '# Made by `make lock`.'; $(LOCK)/bin/python -m pip freeze --exclude-editable; } \
		> $(LOCK)/constraints.txt
	mv $(LOCK)/constraints.txt constraints.txt
	rm -rf $(LOCK)

clean: ## remove what the other targets made, .venv included
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
