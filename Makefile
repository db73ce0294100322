# Two commands do all the set-up: `make demo` and `make test`. They need Python 3.11 or newer, and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The tests of a file share what they train, so they stay in one process. A process takes about 2 GB. One that crashes
# ends the run: pytest-xdist may wait for ever after it was replaced. Files begin in the order of tests/conftest.py.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-all test-lowest test-wheel check docs format clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP)  ## Tune a network on the breast-cancer data, and show what comes out
	@$(BIN)/unitune demo --overwrite

test: $(STAMP)  ## Run the tests, except what is exhaustive, and print the ten slowest
	$(BIN)/python -m pytest $(PARALLEL) -m "not exhaustive" --durations=10

test-fast: $(STAMP)  ## Run the tests that take a second or less, in a minute and a half
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not exhaustive"

test-all: $(STAMP)  ## Run all tests, against `fit` with all its compiling; takes an hour
	UNITUNE_FIT=whole $(BIN)/python -m pytest $(PARALLEL) --durations=10

# Old versions use of the newest that they bring what is on its way out, so warnings are no errors. The tables of the
# catalogue are of the newest Keras; and pandas before 3 reads some numbers of a CSV file a last bit beside.
test-lowest:  ## Run the quick tests with the lowest versions that are allowed
	$(PYTHON) -m venv --clear build/lowest
	build/lowest/bin/python -m pip install --quiet uv
	build/lowest/bin/uv pip install --quiet --resolution lowest-direct --python build/lowest/bin/python --editable ".[dev]"
	build/lowest/bin/python -m pytest $(PARALLEL) -W default -m "not slow and not exhaustive" \
		--ignore tests/engine/catalogue --ignore tests/engine/test_catalogue.py \
		--deselect tests/data/test_load.py::test_every_container_gives_the_same_rows

test-wheel: $(STAMP)  ## Build what is released, and run the demo from it in empty environments
	$(BIN)/python -m pytest -n 0 tests/release

check: $(STAMP)  ## Formatting, lint, types, and the layers of the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)  ## Build the site in build/site, strictly and without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "Built: $(BIN)/python -m http.server --directory build/site shows it."

format: $(STAMP)  ## Format the code, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the environment and everything generated; runs are kept
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .unitune_cache build dist
	find src tests bench examples -name __pycache__ -type d -exec rm -rf {} +

# The environment is made anew where what it is made from has changed.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Unitune needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ". Use `make PYTHON=python3.11 ...`." if sys.version_info < (3, 11) else 0)'
	@echo "Setting up the environment in $(VENV) (a few minutes, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $(STAMP)
