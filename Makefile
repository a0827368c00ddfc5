# Two commands: `make reproduce` and `make test`. Each makes the environment it needs in .venv first.
SCALE ?= laptop
PYTHON ?= python3
BIN := .venv/bin
CORES ?= all
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
SNAKEMAKE := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores $(CORES) --nolock --show-failed-logs

.PHONY: help reproduce plan test fuzz test-browser chromium lint lab mini-suite clean .venv

help:
	@echo "make reproduce [SCALE=laptop|smoke|wide|paper]   run every notebook, write figures/<scale>/"
	@echo "               [TRAIN=1]                         and train what is not recorded; FRESH=1: train everything"
	@echo "make plan [SCALE=...]                            what reproduce would do, and what it costs"
	@echo "make test                                        lint, unit tests, notebooks on an empty run store"
	@echo "make fuzz [SECONDS=3600]                         break files of every reader, byte by byte, and read them"
	@echo "make test-browser [CHROMIUM=...]                 run a notebook in JupyterLab in a headless Chromium"
	@echo "make lab                                         open JupyterLab"
	@echo "make mini-suite                                  make data/mini again from its seed"
	@echo "make clean                                       remove converted stores and runs (cache/), keep figures"

.venv: .venv/installed

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(f"Python {sys.version.split()[0]} is too old, 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

reproduce: .venv
	@$(BIN)/python -m lib runs plan --scale $(SCALE)
	$(SNAKEMAKE) --quiet host reason --keep-going --rerun-incomplete --resources gpu=1 --config scale=$(SCALE) fresh=$(FRESH) train=$(TRAIN)
	@echo "tables, figures and executed notebooks are in figures/$(SCALE)/"

plan: .venv
	@$(BIN)/python -m lib runs plan --scale $(SCALE)
	$(SNAKEMAKE) --dry-run --quiet host reason --config scale=$(SCALE)

test: .venv lint
	$(BIN)/pytest
	cache=$$(mktemp -d) && trap "rm -rf $$cache" EXIT && DENOISING_CACHE=$$cache DENOISING_FIGURES=$$cache/figures $(BIN)/pytest --nbval-lax --nbval-current-env notebooks

SECONDS ?= 3600
fuzz: .venv
	$(BIN)/python tests/fuzz.py --seconds $(SECONDS)

.venv/installed-browser: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[browser]'
	touch $@

chromium:
	@command -v "$(CHROMIUM)" > /dev/null || { echo "error: no Chromium found ('$(CHROMIUM)'): install it (Debian: apt-get install chromium) or name one: make test-browser CHROMIUM=/path/to/chromium" >&2; exit 1; }

test-browser: chromium .venv/installed-browser
	CHROMIUM="$(CHROMIUM)" $(BIN)/pytest tests/browser

lint: .venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/nbstripout --keep-count --verify notebooks/*.ipynb

lab: .venv
	$(BIN)/jupyter lab notebooks

mini-suite: .venv
	$(BIN)/python -m lib mini-suite

clean:
	rm -rf cache .snakemake
