# Both work on a fresh clone: scripts/bootstrap.sh sets up what is missing.
SHELL := /bin/bash
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
MEASURED := $(BIN)/coverage run -m pytest
# Where "95 % of the branches" is the rule: the code that decides what a caller hears.
GATE := ura/flows/*,ura/ticket*.py,ura/sla*.py,ura/speech.py,agi/*
# Its tests: only they are measured, which takes them twice the time.
GATE_TESTS := tests/agi tests/scenarios tests/ura/flows $(wildcard tests/ura/test_ticket*.py tests/ura/test_sla*.py) tests/ura/test_speech.py

.PHONY: run test lint bench fuzz client clean

run:
	@scripts/bootstrap.sh run
	@exec $(BIN)/prosa run

test:
	@scripts/bootstrap.sh test
	@$(MAKE) --no-print-directory lint
	$(BIN)/coverage erase
	@# All four, whatever the first says: who reads the log wants to know all that is broken.
	@# Two in memory, where there is room: a test's own database costs more on a disk than the test does.
	@# The live ones on the disk, as in life: they ask the doors in processes of their own. Three at a time on two cores,
	@# since calls are mostly waiting: for a prompt's end, for a key.
	@failed=0; temp=$$(scripts/fast_temp.sh) || exit 1; trap 'rm -rf "$$temp"' EXIT; \
	TMPDIR=$$temp $(MEASURED) $(GATE_TESTS) -m "not live and not alone" -n 2 --dist loadfile || failed=1; \
	TMPDIR=$$temp $(PYTEST) $(GATE_TESTS:%=--ignore=%) -m "not live and not alone" -n 3 --dist loadfile || failed=1; \
	$(PYTEST) tests/live -m "live and not alone" -n 3 --dist loadfile || failed=1; \
	$(PYTEST) tests/live -m alone || failed=1; \
	exit $$failed
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='$(GATE)' --skip-covered --sort=cover --fail-under=95

lint:
	@scripts/bootstrap.sh test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench:
	@scripts/bootstrap.sh test
	$(BIN)/python -m tests.bench

fuzz:
	@scripts/bootstrap.sh test
	$(BIN)/python -m tests.fuzz --cases 10000

client:
	@scripts/bootstrap.sh test
	scripts/make-client.sh

clean:
	rm -rf build .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
