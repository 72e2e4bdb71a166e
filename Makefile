# `make demo` and `make test` are all a newcomer needs; each sets up .venv by itself, once, and again only when
# pyproject.toml, constraints.txt or the native code has changed. Settings, each as `make demo NAME=value`:
#   PYTHON       the interpreter that .venv is made from (3.11 or newer)
#   VENV         where the environment lies
#   CONSTRAINTS  the file of pinned versions; empty to keep your own build of torch
#   PIP_FLAGS    passed to pip install
PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
PIP_FLAGS ?=
PYTEST_FLAGS ?=
OUT ?= demo

BIN = $(VENV)/bin
# What an editable install is made of; it compiles anew only what has changed.
INSTALLED = pyproject.toml $(CONSTRAINTS) build_native/CMakeLists.txt $(wildcard neurode/native/*)
PIN = $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
INSTALL = $(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) $(PIN)
# Two processes, one thread each: the suite is made for two cores.
PYTEST = OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_FLAGS)

.PHONY: help demo test check slow wheel sanitize bench bench-memory docs pictures clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    train on real storm tracks, forecast, fill, sample, and write $(OUT)/report.html"
	@echo "make test    the fast tests"
	@echo "make check   ruff, pyrefly, and the directions of imports"
	@echo "make slow    the slow tests"
	@echo "make wheel   a wheel for this platform, in dist, tried in an environment of its own"
	@echo "make sanitize the native code under the sanitizers of address, undefined behaviour and threads"
	@echo "make bench   neurode beside torchdiffeq, torchode and diffrax"
	@echo "make bench-memory memory and time of each gradient, and a training over 10,000 steps (25 minutes)"
	@echo "make docs    the documentation, in docs/_build/html"
	@echo "make pictures the pictures of docs/gradients.md, computed again"
	@echo "make clean   remove what the targets above wrote, but neither $(VENV) nor any result of yours"

demo: $(VENV)/.has-tools
	$(BIN)/neurode demo --output $(OUT)

test: $(VENV)/.has-dev
	$(PYTEST) -n 2 --dist worksteal

slow: $(VENV)/.has-dev
	$(PYTEST) -m slow

check: $(VENV)/.has-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check
	$(PYTEST) tests/architecture

# Without its dependencies, which the environment it is tried in borrows from $(VENV).
wheel: $(VENV)/.has-dev
	rm -rf dist/*.whl build/wheel-trial
	$(BIN)/python -m pip wheel -q --disable-pip-version-check $(PIP_FLAGS) --no-deps -w dist .
	$(BIN)/python -m venv build/wheel-trial
	build/wheel-trial/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-index dist/*.whl
	cd build && wheel-trial/bin/python -c "import site; site.addsitedir('$$($(abspath $(BIN))/python -c \
	  'import site; print(site.getsitepackages()[0])')'); import neurode, torch; \
	  from neurode.fused.library import status; print(neurode.__file__, status()); \
	  print(neurode.solve(lambda t, y: torch.tanh(y @ torch.eye(2)), torch.ones(3, 2), [0.0, 1.0]).stats)"
	@ls dist/*.whl

# Each builds the native code and its driver, and runs it: every variant, both precisions, several threads at once.
sanitize:
	@for kind in address,undefined thread; do \
	  echo "sanitizers: $$kind"; \
	  cmake -S build_native -B build/sanitize-$$kind -DNEURODE_SANITIZE=$$kind -DNEURODE_DRIVER=ON > /dev/null && \
	  cmake --build build/sanitize-$$kind > /dev/null && build/sanitize-$$kind/driver || exit 1; \
	done

bench: $(VENV)/.has-bench
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks

bench-memory: $(VENV)/.has-bench
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.gradient_memory
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.long_horizon

docs: $(VENV)/.has-docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "written: docs/_build/html/index.html"

pictures: $(VENV)/.has-dev
	OMP_NUM_THREADS=1 $(BIN)/python docs/draw_gradients.py

clean:
	rm -rf docs/_build dist build .pytest_cache .ruff_cache .hypothesis
	find neurode tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each set of extras. A larger set also stands for `tools`, so no order of targets installs twice.
$(VENV)/.has-tools: $(INSTALLED) | $(BIN)/python
	@echo "setting up $(VENV): neurode[tools] (a few minutes the first time)"
	@$(INSTALL) -e '.[tools]'
	@touch $@

$(VENV)/.has-dev: $(INSTALLED) | $(BIN)/python
	@echo "setting up $(VENV): neurode[dev,tools] (a few minutes the first time)"
	@$(INSTALL) -e '.[dev,tools]'
	@touch $@ $(VENV)/.has-tools

$(VENV)/.has-bench: $(INSTALLED) | $(BIN)/python
	@echo "setting up $(VENV): neurode[bench,tools]"
	@$(INSTALL) -e '.[bench,tools]'
	@touch $@ $(VENV)/.has-tools

$(VENV)/.has-docs: $(INSTALLED) | $(BIN)/python
	@echo "setting up $(VENV): neurode[docs,tools]"
	@$(INSTALL) -e '.[docs,tools]'
	@touch $@ $(VENV)/.has-tools

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "neurode needs Python 3.11 or newer; '$(PYTHON) --version' says: $$($(PYTHON) --version 2>&1 | head -n 1)"; \
	  echo "Name another interpreter: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -f $@; \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu this helps: apt install python3-venv"; exit 1; }
