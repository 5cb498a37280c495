# Each target sets itself up on a fresh machine (Python >= 3.11, nothing else), then does its one job.
# ARGS goes to the program: make run ARGS="--epochs 20 --out /some/folder".
# `make published` trains the tasks in TASKS below SCRATCH, then replaces their rows in PUBLISHED.
TASKS ?= all
SCRATCH ?= build/published
PUBLISHED ?= benchmarks/published
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Debian's browser, for the tests of pages; only root may install it, and others do without.
INSTALL_CHROMIUM = { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium >/dev/null; }

.PHONY: run ladder published check test lint parity parity-statistics

run: $(VENV)/ready-to-run
	$(BIN)/python main.py --backend jax $(ARGS)

ladder: $(VENV)/ready-to-run
	$(BIN)/python main.py --backend jax --tasks all $(ARGS)

# The committed tables, from three runs: data drawn as the original draws it; the reference engine; five members in JAX.
published: $(VENV)/ready-to-test
	rm -f $(SCRATCH)/benchmarks/*.csv
	$(BIN)/python main.py --backend jax --tasks $(TASKS) --out $(SCRATCH) --split original --recipe original $(ARGS)
	$(BIN)/python main.py --backend torch --tasks $(TASKS) --out $(SCRATCH) $(ARGS)
	$(BIN)/python main.py --backend jax --tasks $(TASKS) --out $(SCRATCH) --members 5 $(ARGS)
	$(BIN)/python -m benchmarks.publish --out $(SCRATCH) --folder $(PUBLISHED)

check: lint test

test: $(VENV)/ready-to-test
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

parity: $(VENV)/ready-to-test
	$(BIN)/python -m pytest -o addopts="-q --strict-markers --import-mode=importlib" -n 2 --dist worksteal parity_tests $(ARGS)

parity-statistics: $(VENV)/ready-to-test
	$(BIN)/python -m parity_tests.statistics --write docs/parity.md $(ARGS)

lint: $(VENV)/ready-to-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

$(VENV)/ready-to-run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, got " + sys.version.split()[0] + ": try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/ready-to-test: $(VENV)/ready-to-run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@command -v chromium >/dev/null || $(INSTALL_CHROMIUM) || echo "no Chromium: tests of pages in a browser are skipped; install Debian's package chromium for them"
	touch $@
