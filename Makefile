# The doors: demo, test, torture, bench. Each first installs what it needs.
PYTHON ?= python3
BIN := .venv/bin
RIVALS := .venv-rivals/bin
INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test torture bench clean

demo: .venv/installed
	rm -rf runs/demo
	$(BIN)/normlab run --data digits --out runs/demo

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

# The long forms, on programs compiled as users get them: kills, power cuts, failing disks, damaged files, fuzzed inputs,
# lost workers, the networks that learn with every norm, and the verdicts on arms that are equal.
TORTURE := tests/store tests/fuzz tests/models \
	$(addprefix tests/study/test_, kills.py power_cuts.py damage.py going_on.py engines.py) tests/study/cluster
torture: .venv/installed-test
	NORMLAB_TORTURE=1 $(BIN)/python -m pytest -m "torture or not torture" $(TORTURE)
	$(BIN)/python benchmarks/calibration.py --quick

# The rivals, Keras on TensorFlow and PyTorch, have an environment of their own.
bench: .venv/installed .venv-rivals/installed
	$(BIN)/python benchmarks/run.py --rivals $(RIVALS)/python

clean:
	rm -rf .venv .venv-rivals build dist .mypy_cache .pytest_cache .ruff_cache

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(INSTALL) --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python $(INSTALL) --editable ".[test]"
	touch $@

.venv-rivals/installed: constraints.txt
	test -x $(RIVALS)/python || $(PYTHON) -m venv .venv-rivals
	$(RIVALS)/python $(INSTALL) keras tensorflow-cpu torch
	touch $@
