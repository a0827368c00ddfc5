# Two commands: `make reproduce` and `make test`. Each makes the environment it needs in .venv first.
SCALE ?= laptop
PYTHON ?= python3
BIN := .venv/bin
CORES ?= all
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
SNAKEMAKE := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores $(CORES) --nolock --show-failed-logs

.PHONY: help reproduce plan check test coverage fuzz test-browser test-slurm rehearsal chromium lint types lock lab mini-suite pages speed book report clean .venv

help:
	@echo "make reproduce [SCALE=laptop|smoke|wide|paper]   run every notebook, write figures/<scale>/"
	@echo "               [TRAIN=1]                         and train what is not recorded; FRESH=1: train everything"
	@echo "make plan [SCALE=...]                            what reproduce would do, and what it costs"
	@echo "make check                                       lint, types and the fast tests: under two minutes"
	@echo "make test                                        lint, unit tests, notebooks on an empty run store"
	@echo "make coverage                                    which lines of lib the unit tests run"
	@echo "make fuzz [SECONDS=3600]                         break files of every reader, byte by byte, and read them"
	@echo "make test-browser [CHROMIUM=...]                 the site, and a notebook in JupyterLab, in a headless Chromium"
	@echo "make test-slurm                                  a part of the batch on a SLURM cluster of two nodes, started here"
	@echo "make rehearsal [SIZE=0.01] [MINUTES=1] [KEEP=1]  generated files of the paper's size, or a share of it, from verify to resume"
	@echo "make speed                                       measure the speed tables of lib/bench/README.md anew"
	@echo "make pages                                       fill the generated tables of README and docs anew"
	@echo "make book                                        the site: build/site/index.html"
	@echo "make report [SCALE=...]                          what was run and with what, on one page: build/report.html"
	@echo "make lab                                         open JupyterLab"
	@echo "make mini-suite                                  make data/mini again from its seed"
	@echo "make clean                                       remove converted stores and runs (in cache/) and the site, keep figures"

.venv: .venv/installed

.venv/installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(f"Python {sys.version.split()[0]} does not serve, 3.11 to 3.13 are needed: make PYTHON=/path/to/python3.11 ..." if not (3, 11) <= sys.version_info[:2] <= (3, 13) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[notebooks,dev]'
	touch $@

reproduce: .venv
	@$(BIN)/python -m lib runs plan --scale '$(SCALE)'
	$(SNAKEMAKE) --quiet host reason --keep-going --rerun-incomplete --resources gpu=1 --config 'scale=$(SCALE)' 'fresh=$(FRESH)' 'train=$(TRAIN)'
	@echo "tables, figures and executed notebooks are in figures/$(SCALE)/"

plan: .venv
	@$(BIN)/python -m lib runs plan --scale '$(SCALE)'
	$(SNAKEMAKE) --dry-run --quiet host reason --config 'scale=$(SCALE)'

check: .venv lint types
	$(BIN)/pytest -m "not slow" --quiet

# files in their own order: xdist's would leave those of few, long tests for the end, and a worker idle
WORKERS = -n $(if $(filter all,$(CORES)),auto,$(CORES)) --dist loadfile --no-loadscope-reorder
LEDGER = notebooks/09_what_was_reproduced.ipynb

test: .venv lint types
	$(BIN)/pytest $(WORKERS)
	cache=$$(mktemp -d) && trap "rm -rf $$cache" EXIT && export DENOISING_CACHE=$$cache DENOISING_FIGURES=$$cache/figures && \
	  $(BIN)/pytest $(WORKERS) --nbval-lax --nbval-current-env $(filter-out $(LEDGER),$(wildcard notebooks/[0-9]*.ipynb)) && \
	  $(BIN)/pytest --nbval-lax --nbval-current-env $(LEDGER)  # it reads the others' tables

coverage: .venv
	$(BIN)/pytest $(WORKERS) --cov --cov-report=term:skip-covered

SECONDS ?= 3600
fuzz: .venv
	$(BIN)/python tests/data/readers/fuzz.py --seconds $(SECONDS)

.venv/installed-browser: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[browser,docs]'
	touch $@

chromium:
	@command -v "$(CHROMIUM)" > /dev/null || { echo "error: no Chromium found ('$(CHROMIUM)'): install it (Debian: apt-get install chromium) or name one: make test-browser CHROMIUM=/path/to/chromium" >&2; exit 1; }

test-browser: chromium .venv/installed-browser
	CHROMIUM="$(CHROMIUM)" $(BIN)/pytest tests/browser

.venv/installed-slurm: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[slurm]'
	touch $@

test-slurm: .venv/installed-slurm
	$(BIN)/pytest -s -rs tests/slurm

SIZE ?= 1
MINUTES ?= 10
rehearsal: .venv
	$(BIN)/python -m lib bench rehearsal --size $(SIZE) --minutes $(MINUTES) --json build/rehearsal.json $(if $(KEEP),--keep)

# eight minutes on an idle machine; then the pages that show them
SPEED = $(BIN)/python -m lib bench
speed: .venv
	mkdir -p data/bench/cpu
	$(SPEED) models --models egnn schnet torchmd_net --seconds 8 --json data/bench/cpu/steps.json
	$(SPEED) models --models se3_transformer --batch-size 16 --seconds 8 --json data/bench/cpu/steps-se3.json
	$(SPEED) models --models egnn schnet torchmd_net --scales paper --seconds 8 --busy 1 --json data/bench/cpu/busy.json
	$(SPEED) inference --seconds 1 --json data/bench/cpu/inference.json
	$(SPEED) data --conformations 1000000 --seconds 3 --json data/bench/cpu/data.json
	$(MAKE) pages

pages: .venv
	$(BIN)/python -m lib.report.pages

.venv/installed-docs: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[docs]'
	touch $@

book: .venv/installed-docs
	$(BIN)/python -m lib.report.pages site build/site-source
	$(BIN)/python -m sphinx --builder html --quiet --fail-on-warning --keep-going --jobs auto -c docs build/site-source build/site
	@echo "the site is in build/site/index.html"

report: .venv
	mkdir -p build
	$(SNAKEMAKE) --quiet host progress reason rules --forcerun shown --config 'scale=$(SCALE)' -- shown
	$(SNAKEMAKE) --quiet all --config 'scale=$(SCALE)' --report build/report.html -- all shown
	@echo "the provenance report is in build/report.html"

lint: .venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/nbstripout --keep-count --verify notebooks/*.ipynb
	$(BIN)/lint-imports --no-logo

types: .venv
	$(BIN)/mypy

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra notebooks --extra dev --extra browser --extra docs --extra slurm --extra openmm \
	  --no-header --no-annotate --no-emit-index-url --output-file requirements.lock

lab: .venv
	$(BIN)/jupyter lab notebooks

mini-suite: .venv
	$(BIN)/python -m lib mini-suite

# only what commands put there: anything else in cache/ stays
clean:
	rm -rf cache/stores cache/runs cache/batch .snakemake build/site build/site-source build/jupyter_execute build/report.html
	@for folder in cache build; do if [ -d $$folder ]; then rmdir --ignore-fail-on-non-empty $$folder; fi; done
