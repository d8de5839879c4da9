# Everything here sets itself up: `make demo` and `make test` work in a fresh clone.

RUN    ?= demo
SEED   ?= 0
PRESET ?= demo

# An environment that happens to be active is not ours: uv uses .venv here.
unexport VIRTUAL_ENV
# The lock decides: nothing below ever resolves again or changes uv.lock.
export UV_FROZEN := 1
# Pyright asks the network whether there is a newer one, unless told not to.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

bin    := .venv/bin
stamp  := .venv/.etude-installed
wanted := pyproject.toml uv.lock .python-version $(wildcard plugins/*/pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help setup demo smoke test test-all check format bench hooks clean

help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS="$$(printf '\t')" read -r name what; do printf '  make %-9s %s\n' "$$name" "$$what"; done

setup: $(stamp)  ## install everything into .venv (uv too, if this machine has none)

# Where pyenv has a 3.12 but its shims are not on the PATH, uv still finds it.
$(stamp): export PATH := $(PATH)$(patsubst %,:%,$(lastword $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.12.*/bin)))
$(stamp): $(wanted)
	@uv=$$(scripts/find-uv) && "$$uv" sync --inexact --compile-bytecode
	@touch $@

demo: setup  ## run the whole loop and print its table (RUN=demo SEED=0 PRESET=demo; continues a run that was stopped)
	$(bin)/etude loop franka-stack --preset $(PRESET) --run $(RUN) --seed $(SEED) $(if $(wildcard runs/$(RUN)),--resume)

smoke:  ## the same loop in its smallest form, about a minute
	$(MAKE) demo PRESET=smoke RUN=smoke

test: setup  ## run the tests, but for the slow ones and those that need an accelerator
	$(bin)/python -m pytest -m "not slow and not gpu"

# With transformers installed everything that imports LeRobot starts three seconds later: only here.
test-all: setup  ## run every test that this machine can, with LeRobot's largest policies too
	@uv=$$(scripts/find-uv) && "$$uv" sync --inexact --compile-bytecode --extra pi --extra groot
	$(bin)/python -m pytest

check: setup  ## lint, formatting, types, layering
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/pyright
	$(bin)/lint-imports

format: setup  ## fix what ruff can fix
	$(bin)/ruff check --fix
	$(bin)/ruff format

bench: setup  ## measure the figures of benchmarks/ on this machine
	$(bin)/python -m benchmarks

hooks: setup  ## run the quick checks at every commit
	$(bin)/pre-commit install

clean:  ## remove caches and builds; runs/ stays
	rm -rf .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find src tests plugins -name __pycache__ -type d -prune -exec rm -rf {} +
