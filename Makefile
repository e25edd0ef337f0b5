# Every target makes its own environment: a virtual environment in the tree, from exact, hashed versions.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
FUZZ_READY := .venv/ready-fuzz

SECONDS ?= 60

.PHONY: help demo test fuzz simulate simulate-bugs hostile lint interop-lnd interop-ldk check-ldk format proto requirements clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lsps needs Python 3.11 or later: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## the whole story on simulated nodes, in seconds
	@$(BIN)/lsps demo

test: $(READY) ## the fast tests: pure parts, SQLite, simulated nodes
	$(BIN)/pytest tests --ignore=tests/e2e --ignore=tests/ldk --ignore=tests/simulation/bugs -n 2 --dist worksteal

$(FUZZ_READY): $(READY) requirements-fuzz.txt
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 14) and "atheris has no wheels for this Python yet: make clean, then make PYTHON=python3.13 fuzz. The fast tests replay seeds and corpus on any version.")'
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.txt
	@touch $@

fuzz: $(FUZZ_READY) ## coverage-guided fuzzing: make fuzz [SECONDS=60] [TARGET=name]; goes on where it stopped, in .fuzz/
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS) $(if $(TARGET),--target $(TARGET))

simulate: $(READY) ## a simulated world by seeds: make simulate [SECONDS=60], or one story again: SEED=n [STEPS=300]
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seconds $(SECONDS)) $(if $(STEPS),--steps $(STEPS))

simulate-bugs: $(READY) ## that the simulation finds each bug of its catalogue, and shortens its story
	$(BIN)/pytest tests/simulation/bugs -n 2

hostile: $(READY) ## figures: a thousand hostile connections against one service: make hostile [SECONDS=60]
	$(BIN)/python -m tests.hostile.run --seconds $(SECONDS)

lint: $(READY) ## ruff, strict types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest tests/test_imports.py

interop-lnd: $(READY) ## real LND nodes on regtest (builds lnd and btcd once; needs Go)
	$(BIN)/python -m interop.lnd.build
	$(BIN)/pytest tests/e2e

interop-ldk: $(READY) ## LDK's released crates over TCP, both ways (builds them once; needs Rust)
	$(BIN)/python -m interop.ldk.build
	$(BIN)/pytest tests/ldk

check-ldk: $(READY) ## lsps check against LDK's service and ours; fails if docs/conformance.json says otherwise (needs Rust)
	$(BIN)/python -m interop.ldk.build
	$(BIN)/python -m interop.ldk.check

format: $(READY) ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(READY) ## the Python of our LND .proto file
	$(BIN)/python -m interop.lnd.generate_proto

requirements: $(READY) ## pin the newest versions anew
	$(BIN)/pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --all-extras --allow-unsafe --strip-extras \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--output-file requirements-dev.txt pyproject.toml
	echo atheris | $(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--output-file requirements-fuzz.txt -

clean: ## remove the environment and what tools leave behind
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz
