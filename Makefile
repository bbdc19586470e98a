SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
comma := ,
ARGS ?=
# A clone keeps a home of its own, so that trying facewatch leaves nothing elsewhere.
export FACEWATCH_HOME ?= $(CURDIR)/.home

# cpu, gpu and openvino are builds of one module in one folder: a venv holds one of them, and keeps it
# until another is asked for: make install EXTRA=openvino.
INSTALLED := $(filter cpu gpu openvino,$(patsubst .venv/installed-%,%,$(wildcard .venv/installed-*)))
EXTRA := $(or $(firstword $(INSTALLED)),$(shell if [ -e /proc/driver/nvidia/version ] || nvidia-smi >/dev/null 2>&1; then echo gpu; else echo cpu; fi))
LOCK := requirements/lock-$(EXTRA).txt
BIN := .venv/bin

# Prints what pip is at, a package a line, and its errors; its warnings are about indexes.
pip_install = $(BIN)/python -m pip install --no-input --disable-pip-version-check \
	--constraint $(LOCK) $(1) 2> >(grep -v '^WARNING\|^$$' >&2) | sed -un 's/^Collecting \([^ ;<>=!(]*\).*/  \1/p'

.PHONY: help install demo test check bench bench-full lock clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

install: .venv/installed-$(EXTRA) ## make .venv with facewatch in it (the gpu build where there is an NVIDIA driver)

demo: install ## watch three demo cameras; make demo ARGS="--seconds 60" hands arguments on
	@$(BIN)/facewatch models fetch
	@$(BIN)/facewatch demo $(ARGS)

test: .venv/installed-$(EXTRA)-test ## run the tests; ARGS go to pytest
	@for script in tests/oracle/make_*.sh; do \
		echo "oracle: $$script"; PYTHON=$(CURDIR)/$(BIN)/python bash $$script; \
	done
	@env -u FACEWATCH_HOME $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile $(ARGS)

check: .venv/installed-$(EXTRA)-test ## formatting, lint, types and floors
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

.venv/installed-%-test: .venv/installed-%
	@echo "installing the test tools into .venv"
	@$(call pip_install,--editable '.[$*$(comma)test]')
	@touch $@

.venv/installed-%: pyproject.toml requirements/lock-%.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "facewatch needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version 2>&1);" \
		"name another one: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@if [ ! -x $(BIN)/python ] || ls .venv/installed-* 2>/dev/null | grep -qv 'installed-$*'; then \
		echo "making .venv"; $(PYTHON) -m venv --clear .venv; fi
	@echo "installing facewatch[$*] into .venv: a minute or two"
	@$(call pip_install,--editable '.[$*]')
	@touch $@

bench: install ## every benchmark at reduced sizes, 15 minutes at most; ARGS="NAME ..." for some
	@$(BIN)/facewatch models fetch
	@$(BIN)/python benchmarks/run.py --quick $(ARGS)

bench-full: install ## every benchmark at full size that was not run yet: 2 hours, 25 GB of disk; ARGS="--again"
	@$(BIN)/facewatch models fetch
	@$(BIN)/python benchmarks/run.py $(ARGS)

lock: ## find the newest versions that fit and write them to requirements/
	@$(PYTHON) -m venv .venvs/lock
	@.venvs/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@for extra in cpu gpu openvino; do \
		.venvs/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
			--fork-strategy fewest --extra $$extra --extra test --no-header --no-annotate \
			--no-emit-index-url --output-file requirements/lock-$$extra.txt pyproject.toml; \
	done

clean: ## remove what the other targets made, but no home directory
	@rm -rf .venv .venvs build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache
