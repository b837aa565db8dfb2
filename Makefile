# Two commands do all set-up: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ROOMS := app cache cli corpora evaluation extractors heads llm merr pipeline

.PHONY: demo test lint types check bench soak lock reference notices view tiny-encoders wheel clean

demo: $(STAMP)  ## render clips, extract four features, train heads and the LLaMA stage, write demo/report.html
	$(BIN)/emo demo --out demo

test: $(STAMP)  ## every test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) view
	$(BIN)/mypy

check: test lint types

bench: $(STAMP)  ## side-by-side ratios; each prints one JSON object
	set -e; for script in benchmarks/*.py; do $(BIN)/python $$script --json; done

soak: $(STAMP)  ## 200 kills of one writing process, 200 of two, 25 of a training one; every fault at every call, 1,000 flipped bits, 100 random orders; remotes and broken media
	$(BIN)/python -m pytest -q -m soak tests

tiny-encoders: $(STAMP)  ## train the shipped tiny preset again, about an hour on two cores
	$(BIN)/python -m emo.pipeline.tiny_encoders --out extractors/tiny

lock:  ## compile constraints.in to constraints.txt (needs uv)
	uv pip compile --python-version 3.11 --extra dev --extra app --extra asr --extra bench --extra dask --extra exchange --extra lowbit --extra opensmile --extra remote --extra serve --extra services --extra tracking --extra viz --no-emit-index-url --no-annotate --no-header \
		--strip-extras pyproject.toml -c constraints.in -o constraints.txt

reference: $(STAMP)  ## docs/cli.md, docs/api.md and the table of docs/encoders.md, from the program itself
	$(BIN)/python -m emo.cli.reference

notices: $(STAMP)  ## THIRD_PARTY_NOTICES.md, from the metadata of what is installed
	$(BIN)/python -m emo.cli.notices

view:  ## the installed shape of the package as links, for mypy and pyright
	rm -rf build/view && mkdir -p build/view/emo
	for f in src/emo/*; do ln -s ../../../$$f build/view/emo/; done
	for room in $(ROOMS); do ln -s ../../../$$room build/view/emo/$$room; done

wheel: $(STAMP)
	$(BIN)/pip wheel -q --no-deps -w build/dist .

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

clean:
	rm -rf build demo $(VENV)
