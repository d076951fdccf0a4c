# make install: the steps and Snakemake, in .venv. make demo: install, and run the whole workflow on embedded real images.
# make test: install, check everything.
PYTHON ?= python3
BIN := .venv/bin
UV ?= uv

.PHONY: install demo test check test-slow test-cluster test-dockerfile lint types style bench container clean lock
.DELETE_ON_ERROR:

# Images of Python often set it; without stored bytecode each of pytest's processes rewrites the asserts of all tests anew.
unexport PYTHONDONTWRITEBYTECODE

install: .venv/runtime

demo: .venv/runtime
	$(BIN)/snakemake --profile workflow/profiles/workstation --quiet host rules
	@$(MAKE) --no-print-directory report.html
	@echo
	@cat results/summary.md
	@echo
	@echo "page    results/summary.html"
	@echo "table   results/summary.csv"
	@echo "plots   results/summary/ and results/digits/simclr/seed0/umap/"
	@echo "report  report.html"

report.html: results/summary.csv results/summary.html workflow/report/*.rst
	$(BIN)/snakemake --profile workflow/profiles/workstation --report $@

# Processes of one thread each, as two trainings with two threads each would wait for one another on two cores.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal --durations 40 -m "not cluster and not slow"

# What each change is checked with.
check: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal -m "not slow" tests/unit

# The tests that take longest, up to minutes each, and those of the container, in the image that SIMCLR_TEST_IMAGE names. Only
# their files are read, as each process imports all that it reads.
test-slow: .venv/dev
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist worksteal --durations 20 -m slow \
		$$(grep -rl --include 'test_*.py' 'mark\.slow' tests)

# On a SLURM that it starts itself; steps of some tests run in the image that SIMCLR_TEST_IMAGE names.
test-cluster: .venv/dev
	$(BIN)/pytest --durations 10 -m cluster tests/integration/cluster

# Docker's image, as root on Debian, without a registry and without Docker, out of the image that SIMCLR_TEST_IMAGE names.
test-dockerfile:
	.ci/dockerfile.sh

# Side by side, as mypy takes a core for a minute in a fresh clone.
lint: .venv/dev
	@$(MAKE) --no-print-directory --jobs $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) types style

types: .venv/dev
	$(BIN)/mypy

style: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint
	$(BIN)/pytest -q tests/unit/test_import_rule.py

# BENCH names some parts and options, as in: make bench BENCH="startup --rounds 3"
bench: .venv/runtime .lightly
	PYTHONPATH=.lightly $(BIN)/python -m tests.benchmarks.bench $(BENCH)

# BASE=debian needs no registry; containers/README.md knows more.
container:
	containers/build.sh

# If it cannot be installed, the benchmark skips it.
.lightly: tests/benchmarks/requirements.txt | .venv/bin/pip
	-$(BIN)/pip install --disable-pip-version-check --require-hashes --no-deps --upgrade --target $@ -r $<
	@touch -c $@

# A stamp is newer than its lock file as long as the environment holds what the lock file names, and newer than
# pyproject.toml as long as its command `simclr` is the one that pyproject.toml describes.
.venv/runtime: requirements.lock pyproject.toml | .venv/bin/pip
	$(INSTALL)
	@touch $@

.venv/dev: requirements-dev.lock pyproject.toml | .venv/bin/pip
	$(INSTALL)
	@touch $@ .venv/runtime

# What is imported is compiled then, and that is a small part of all; users may have switched off that Python keeps it.
.venv/dev: private NO_COMPILE := --no-compile

# The lock file holds setuptools, so that nothing is fetched for the second line.
define INSTALL
$(BIN)/pip install --disable-pip-version-check $(NO_COMPILE) --require-hashes -r $<
$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
endef

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"error: Python 3.11 or newer is needed, but $(PYTHON) is {sys.version.split()[0]}: name a newer one, as in: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

# Needs uv, and is run by hand only: a fresh clone must never make its own lock files. The environment for conda repeats the
# lock file's pins, as no file beside it travels to where conda reads it.
LOCK = $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q

lock:
	$(LOCK) -o requirements.lock
	$(LOCK) --group dev --extra onnx -c requirements.lock -o requirements-dev.lock
	{ printf '%s\n' 'channels: [conda-forge, nodefaults]' dependencies: '  - python =3.11' '  - pip' '  - pip:'; \
		sed -n "s/^\([a-z].*[^ ]\) *\\\\$$/      - \1/p" requirements.lock; } >workflow/envs/simclr.yaml

# Keeps results, resources and the state of Snakemake and of interrupted training runs.
clean:
	rm -rf .venv .lightly report.html report.zip .mypy_cache .ruff_cache .pytest_cache
	find simclr_steps tests workflow -name __pycache__ -prune -exec rm -rf {} +
