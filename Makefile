# Each target sets itself up on a fresh machine (Python >= 3.11, nothing else), then does its one job.
# ARGS goes to the program: make run ARGS="--epochs 20 --out /some/folder"; TASKS names those of `make published`.
TASKS ?= all
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Debian's browser, for the tests of pages; only root may install it, and others do without.
INSTALL_CHROMIUM = { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium >/dev/null; }

.PHONY: run ladder published test lint parity parity-statistics

run: $(VENV)/ready-to-run
	$(BIN)/python main.py --backend jax $(ARGS)

ladder: $(VENV)/ready-to-run
	$(BIN)/python main.py --backend jax --tasks all $(ARGS)

# The committed table: as the original draws data, then the reference engine, then what the dashboard shows first.
published: $(VENV)/ready-to-test
	$(BIN)/python main.py --backend jax --tasks $(TASKS) --split original --recipe original $(ARGS)
	$(BIN)/python main.py --backend torch --tasks $(TASKS) $(ARGS)
	$(BIN)/python main.py --backend jax --tasks $(TASKS) --members 5 $(ARGS)

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
