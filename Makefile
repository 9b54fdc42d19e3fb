# `make train` and `make test` set up .venv by themselves, then do their work.
PYTHON ?= python3
RUNS ?= runs
FLAGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: train test test-all soak fuzz notebooks lint format verify wheel docs docs-serve tensorboard clean

train: $(VENV)/installed
	$(BIN)/python train.py --flagfile=config.cfg

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2 --dist=loadfile $(FLAGS)

test-all: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2 --dist=loadfile -m "slow or not slow"

soak: $(VENV)/installed-dev
	$(BIN)/python -m tests.training.soak

# make fuzz FLAGS="300 random csv npy": so many damaged files, a seed, and formats
fuzz: $(VENV)/installed-dev
	$(BIN)/python -m tests.input.mutate $(or $(FLAGS),5000 random)

# every cell of docs/notebooks
notebooks: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "slow or not slow" tests/test_notebooks.py

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

verify: $(VENV)/installed
	$(BIN)/hw2 verify

wheel: $(VENV)/installed-dev
	$(BIN)/python -m build --wheel

docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

docs-serve: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8000

tensorboard: $(VENV)/installed
	$(BIN)/tensorboard --logdir $(RUNS) --host 127.0.0.1

clean:
	rm -rf $(VENV)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 10) <= v < (3, 14) and \
	  f"error: Python 3.10 to 3.13 is needed, $(PYTHON) is {v.major}.{v.minor}; try `make PYTHON=python3.12 $(MAKECMDGOALS)`")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/pip
	@echo "installing TensorFlow and what else hw2 needs into $(VENV): 2.5 GB, some minutes"
	$(BIN)/pip install --quiet -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/pip
	@echo "installing what the tests need into $(VENV), TensorFlow too if it is not there: minutes"
	$(BIN)/pip install --quiet -e '.[dev]'
	@touch $(VENV)/installed $@
