# make ask    answer a question about an example image, with the overlay picture in $(OVERLAY)
# make test   lint, types and tests
# make bars   the dialects' property tests in full, and every family by every recipe through ask: an hour
# make docs   write docs/cli.md again from the program's own help
#
# PYTHON      the interpreter that makes the environment (3.11 or newer; the first one found is the default)
# PIP_FLAGS   more arguments for pip, such as --extra-index-url=URL of the index that serves CPU builds of torch, where
#             the default index has only CUDA builds: constraints.txt refuses those
# PYTEST_FLAGS  arguments for pytest (-n 2)

VENV ?= .venv
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell \
	$(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
PIP_FLAGS ?=
PYTEST_FLAGS ?= -n 2
QUESTION ?= What is the head circumference?
IMAGE ?= examples/fetal_head.dcm
OVERLAY ?= overlay.png

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The tests run in two processes of one thread each.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: ask test bars install lint types pytest docs build clean

ask: install
	@$(BIN)/fiducial ask "$(IMAGE)" "$(QUESTION)" --overlay "$(OVERLAY)"

test: lint types pytest

install: $(STAMP)

# torch first and alone: where only a CUDA build is to be had, this stops before anything large is downloaded.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "fiducial needs Python 3.11 or newer; pass it as make PYTHON=/path/to/python" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt torch==2.13.0 || { \
		echo "no CPU build of torch found; pass the index that serves them: make PIP_FLAGS=--extra-index-url=URL" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	@touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

pytest: install
	$(ONE_THREAD) $(BIN)/python -m pytest $(PYTEST_FLAGS)

# CASES rendered targets a dialect and task must come back; of MUTATED spoilt texts a dialect none may raise.
CASES ?= 2000
MUTATED ?= 10000
bars: install
	$(ONE_THREAD) FIDUCIAL_CASES=$(CASES) FIDUCIAL_MUTATED=$(MUTATED) FIDUCIAL_MATRIX=all \
		$(BIN)/python -m pytest $(PYTEST_FLAGS) tests/skills/families/test_dialects.py \
		tests/skills/training/test_recipes.py

docs: install
	$(BIN)/python -m fiducial.cli docs > docs/cli.md

build: install
	$(BIN)/python -m hatchling build

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
