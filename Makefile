# Two commands for a fresh machine: `make demo` and `make test`. Both set up .venv themselves.

PYTHON ?= python3
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake --profile local

.PHONY: help setup demo desk test test-unit torture bench check format lock docs clean

help:
	@echo "make setup   make .venv, with featflow and snakemake in it"
	@echo "make demo    set up, then build the demo study to its report (about 10 minutes)"
	@echo "make test    set up, then run the tests"
	@echo "make torture kill the tiny study at 50 random moments (docs/reliability.md)"
	@echo "make bench   measure featflow beside its peers: docs/benchmarks.md (about 15 minutes)"
	@echo "make check   ruff, mypy, import-linter, snakefmt, snakemake --lint"
	@echo "make desk    build the desk study (needs FEATFLOW_CORPORA, see docs/results-desk.md)"
	@echo "make format  let ruff and snakefmt rewrite the code"
	@echo "make docs    write docs/config.md, formats.md, stages.md, map.md and the JSON schema anew from the code"
	@echo "make lock    resolve the dependencies anew: envs/constraints.txt, envs/featflow.yaml"

# The stamps make set-up idempotent: pip runs again only when what it reads has changed.
.venv/ready: pyproject.toml envs/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || { \
	  echo "featflow needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." >&2; \
	  echo "Name another one:  make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
	  echo "No virtual environment: on Debian, apt install python3-venv." >&2; exit 1; }
	@echo "Installing into .venv (about 2 minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable .
	@touch $@

.venv/ready-dev: .venv/ready
	@$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable '.[dev,peers]'
	@touch $@

# SAELens needs an older TransformerLens: a layer over .venv, see envs/peers.txt.
.venv.peers/ready: .venv/ready-dev envs/peers.txt
	@$(PYTHON) -m venv .venv.peers
	@$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' \
	  > "$$(.venv.peers/bin/python -c 'import site; print(site.getsitepackages()[0])')/featflow.pth"
	@.venv.peers/bin/python -m pip install --quiet --no-deps --requirement envs/peers.txt
	@touch $@

setup: .venv/ready

demo: .venv/ready
	@$(SNAKEMAKE) --config study=demo --quiet rules
	@$(BIN)/featflow table demo
	@echo "Look at results/demo/report/index.html"

desk: .venv/ready
	@$(SNAKEMAKE) --config study=desk --quiet rules
	@$(BIN)/featflow table desk

test: .venv.peers/ready
	@$(BIN)/python -m pytest -n 2 --dist loadfile

test-unit: .venv.peers/ready
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not workflow and not slurm and not browser"

torture: .venv/ready-dev
	@$(BIN)/python -m tests.torture --kills 50 --seed 0

# BENCH='--only merging tokens', say; --help tells more. Let the machine do nothing else meanwhile.
bench: .venv.peers/ready
	@.venv.peers/bin/python -m benchmarks $(BENCH)

check: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH=$(BIN):$$PATH $(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

format: .venv/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	PATH=$(BIN):$$PATH $(BIN)/snakefmt Snakefile rules

# What is written from the code; tests keep it in step.
docs: .venv/ready
	$(BIN)/featflow schema > docs/workflow_config.schema.json
	$(BIN)/featflow schema --markdown > docs/config.md
	$(BIN)/python -m featflow.plan.reference formats > docs/formats.md
	$(BIN)/python -m featflow.plan.reference stages > docs/stages.md
	$(BIN)/python -m featflow.plan.reference map > docs/map.md

# uv.lock itself is not kept: it names download addresses; the constraints are all that pip needs.
UV_EXPORT := $(BIN)/uv export --quiet --no-emit-project --no-hashes --no-annotate --no-header
lock: .venv/ready-dev
	$(BIN)/uv lock --quiet
	$(UV_EXPORT) --all-extras --output-file envs/constraints.txt > /dev/null
	{ sed '/- pip:/q' envs/featflow.yaml; $(UV_EXPORT) | sed 's/.*/      - "&"/'; } > envs/featflow.new
	mv envs/featflow.new envs/featflow.yaml

clean:
	rm -rf .venv .venv.peers .mypy_cache .ruff_cache
