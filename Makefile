# Everything a person runs. `make help` lists the doors.
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .venv/uv/bin/uv
MAIN := .venv/main
SERVER := .venv/serving
PEERS := .venv/peers
SERVED_PEERS := $(PEERS)-mlserver/.ready $(PEERS)-bentoml/.ready $(PEERS)-litserve/.ready
CLIENTS := .venv/clients/.ready .venv/clients-kserve/.ready
RUN := $(MAIN)/bin/python -m
IN_TURNS = $(if $(BEFORE),benchmarks.turns $(BEFORE))
WORKERS ?= 2
TEST_MINUTES ?= 60
NIGHT_MINUTES ?= 330
TEST = $(MAIN)/bin/python tests/within.py $(TEST_MINUTES) $(RUN) pytest
# One process: the long forms also hold times to bounds, which needs the machine.
NIGHT = $(MAIN)/bin/python tests/within.py $(NIGHT_MINUTES) $(RUN) pytest --timeout=3600
REVISION := RATCHET_CODE_VERSION=$${RATCHET_CODE_VERSION:-$$(git describe --always --dirty 2>/dev/null)}

# pip's own configuration decides which index uv asks, so a company mirror keeps working.
PIP_INDEX := $(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null)
ifneq ($(PIP_INDEX),)
export UV_DEFAULT_INDEX ?= $(PIP_INDEX)
endif
export UV_SYSTEM_CERTS ?= true
# Where it is set, every start compiles every module again: seconds per process.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up down status logs test test-fast test-nightly test-kill test-deeds check pictures audit bench-loop bench-ingest bench-history bench-outgrown bench-gate bench-select bench-quality bench-serving bench-ways bench-compose bench-defects test-load test-fuzz test-soak secrets compose-up compose-down compose-upgrade backup restore test-compose test-faults lock

help:  ## List the doors
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

setup: $(MAIN)/.ready $(SERVER)/.ready  ## Make both environments from their lock files

setup-dev: setup $(MAIN)/.ready-dev

demo: setup  ## Show the main job end to end, then stop everything
	@$(RUN) demo $(if $(ROWS),--rows $(ROWS))

up: setup  ## Start the stack and keep it running
	@$(RUN) stack up

down: setup  ## Stop it
	@$(RUN) stack down

status: setup  ## Say what runs and where
	@$(RUN) stack status

logs: setup  ## Follow every component's log
	@$(RUN) stack logs

test: setup-dev $(CLIENTS)  ## Run every test, in short forms of the long ones (WORKERS=2, TEST_MINUTES=60)
	@$(TEST) -n $(WORKERS) --durations=15 tests

test-fast: setup-dev  ## Run the tests of rules, properties and the server that start no server
	@RATCHET_TEST_PROFILE=fast $(TEST) -n $(WORKERS) --quick --timeout=60 --durations=5 --durations-min=4 tests/unit tests/spec tests/generative tests/serving

test-nightly: setup-dev $(CLIENTS)  ## Run every test in its long form, and every deed in MLflow at every moment: hours
	@RATCHET_TEST_PROFILE=nightly DEEDS=all DEEDS_IN_A_ROW=20 $(NIGHT) --durations=50 tests

test-kill: setup-dev  ## Kill, starve and cut off the intake at 200 random instants and more
	@RATCHET_TEST_PROFILE=nightly $(NIGHT) --durations=0 tests/faults

test-deeds: setup-dev  ## Do everything that people do in MLflow, at every moment of a run, and in any order
	@DEEDS=all DEEDS_IN_A_ROW=20 $(RUN) pytest tests/contract/test_deeds.py --timeout=3600

check: setup-dev  ## Lint, types, import contracts, dead code, Dockerfiles, docs in step, hosted CI
	@$(MAIN)/bin/ruff check .
	@$(MAIN)/bin/ruff format --check .
	@$(MAIN)/bin/mypy include serving stack deploy demo dags plugins benchmarks docs tests .ci/audit.py
	@$(MAIN)/bin/lint-imports --no-cache
	@$(MAIN)/bin/vulture
	@$(MAIN)/bin/hadolint $$(find . -name Dockerfile -not -path './.*')
	@$(RUN) docs.check
	@$(MAIN)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	@$(MAIN)/bin/zizmor --offline --quiet --persona=pedantic .github/workflows

pictures: setup  ## Take every screenshot of the documents and draw the rooms, of a stack of its own if none runs (needs Chromium)
	@$(RUN) docs.screenshots

audit: setup-dev  ## Look the lock files up for known vulnerabilities; without a network it says so
	@$(MAIN)/bin/python .ci/audit.py

bench-loop: setup  ## Time drop to served, and the idle stack (QUICK=1: under a minute)
	@QUICK=$(QUICK) $(RUN) benchmarks.loop

bench-ingest: setup-dev  ## Time taking rows in, beside pandas (BEFORE=revision: beside that one; QUICK=1: under a minute)
	@QUICK=$(QUICK) BEFORE=$(BEFORE) $(RUN) benchmarks.ingest

bench-history: setup-dev  ## Time a batch on a lake of up to 10 million rows (BEFORE=revision: in turns with that one; QUICK=1: under a minute)
	@QUICK=$(QUICK) $(RUN) $(IN_TURNS) benchmarks.history $(if $(PICTURE),--picture $(PICTURE))

bench-outgrown: setup-dev  ## Fit XGBoost on more rows than memory holds (QUICK=1: under a minute)
	@QUICK=$(QUICK) $(RUN) benchmarks.outgrown

bench-gate: setup-dev  ## Judge years of nights, beside other gates (QUICK=1: under a minute)
	@QUICK=$(QUICK) $(RUN) benchmarks.gate $(if $(PICTURE),--picture $(PICTURE))

bench-select: setup-dev $(PEERS)/.ready  ## Time and choice of the race, beside other searches (BEFORE=revision: the race alone in turns with that one; QUICK=1: a minute and a half)
	@QUICK=$(QUICK) $(RUN) $(if $(BEFORE),$(IN_TURNS) benchmarks/race_worker.py,benchmarks.selection --peers $(abspath $(PEERS))/bin/python)

bench-quality: setup $(PEERS)/.ready  ## F1 of what selection picks, beside its peers (DATA=folder of the real data; QUICK=1: under a minute)
	@QUICK=$(QUICK) $(RUN) benchmarks.quality --peer $(PEERS)/bin/python $(if $(DATA),--data $(DATA))

bench-ways: setup-dev  ## Time one row of every family, as scikit-learn answers and as served
	@QUICK=$(QUICK) $(RUN) benchmarks.ways

bench-serving: setup $(if $(BEFORE),,$(SERVED_PEERS))  ## Requests a second, beside MLServer and others (QUICK=1: about a minute; needs wrk)
	@QUICK=$(QUICK) BEFORE=$(BEFORE) $(RUN) benchmarks.serving

bench-compose: setup-dev  ## Cold start, memory and two workers in containers (QUICK=1: one start; needs Docker)
	@QUICK=$(QUICK) ROWS=$(or $(ROWS),50000) $(RUN) benchmarks.compose

bench-defects: setup $(PEERS)-mlserver/.ready  ## What the server survives and MLServer does not
	@$(RUN) benchmarks.defects

test-load: setup-dev  ## Move the champion under full load (MOVES=100), and a user's locustfile
	@RATCHET_TEST_PROFILE=nightly,moves=$(or $(MOVES),100) $(NIGHT) tests/load -s

test-fuzz: setup-dev  ## 100,000 bodies and model files that nobody sane sends (FUZZ=100000), damaged texts, and Schemathesis
	@RATCHET_TEST_PROFILE=nightly,bodies=$(or $(FUZZ),100000) $(NIGHT) tests/fuzz tests/generative/test_any_pollution.py -s

test-soak: setup-dev  ## Ten minutes at 70 % load with a swap every 5 s (SECONDS=600)
	@$(RUN) benchmarks.serving_soak $(or $(SECONDS),600)

secrets:  ## Draw the passwords and keys of the containers into .secrets/
	@$(PYTHON) -m deploy.secret_files

compose-up: secrets  ## Build the images and start the stack in containers
	@$(REVISION) docker compose up --build --wait

compose-down:  ## Stop the containers; their data stay
	@docker compose down

compose-upgrade: secrets  ## Back up, make the new images, replace the containers (TO=folder, PULL=1)
	@$(REVISION) $(PYTHON) -m deploy.upgrade $(if $(PULL),--pull) $(if $(TO),"$(TO)")

backup:  ## Copy databases and buckets of the containers while they run (TO=folder)
	@$(PYTHON) -m deploy.backup $(if $(TO),"$(TO)")

restore:  ## Put a backup in their place (FROM=folder; FORCE=1 where there are data)
	@$(PYTHON) -m deploy.restore $(if $(FORCE),--force) "$(or $(FROM),$(error say which backup: make restore FROM=folder))"

test-compose: setup-dev  ## Build the images, run the stack in containers, take it down (needs Docker)
	@$(RUN) pytest tests/containers --ignore tests/containers/faults --durations=15 --timeout=1800

test-faults: setup-dev  ## Kill and cut off each part of it, back it up and restore it (needs Docker)
	@$(RUN) pytest tests/containers/faults --durations=0 --timeout=3600

lock: $(UV)  ## Pin the three lock files again
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -c requirements.txt serving/requirements.in -o serving/requirements.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -c requirements.txt -c serving/requirements.txt requirements-dev.in -o requirements-dev.txt

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Ratchet needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11")'
	@echo "setting up: uv"
	@$(PYTHON) -m venv .venv/uv
	@.venv/uv/bin/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)

# A stamp is written last, so an interrupted set-up is made again instead of being half used.
$(MAIN)/.ready: requirements.txt | $(UV)
	@echo "setting up: Airflow and training (about 0.8 GB)"
	@test -x $(MAIN)/bin/python || $(UV) venv -q --clear -p $(PYTHON) $(MAIN)
	@$(UV) pip sync -q -p $(MAIN) --require-hashes requirements.txt
	@touch $@

$(MAIN)/.ready-dev: requirements-dev.txt $(MAIN)/.ready
	@echo "setting up: test and check tools"
	@$(UV) pip install -q -p $(MAIN) --require-hashes -r requirements-dev.txt
	@touch $@

$(SERVER)/.ready: serving/requirements.txt | $(UV)
	@echo "setting up: the server"
	@test -x $(SERVER)/bin/python || $(UV) venv -q --clear -p $(PYTHON) $(SERVER)
	@$(UV) pip sync -q -p $(SERVER) --require-hashes serving/requirements.txt
	@touch $@

$(PEERS)/.ready: benchmarks/peers.txt | $(UV)
	@echo "setting up: what benchmarks compare with"
	@test -x $(PEERS)/bin/python || $(UV) venv -q --clear -p $(PYTHON) $(PEERS)
	@$(UV) pip install -q -p $(PEERS) -r benchmarks/peers.txt
	@touch $@

# One environment for each engine, for their pins exclude one another. The benchmark says which
# could not be set up and goes on without it.
$(SERVED_PEERS): $(PEERS)-%/.ready: benchmarks/peers-%.txt | $(UV)
	@echo "setting up: $* to compare with"
	@test -x $(PEERS)-$*/bin/python || $(UV) venv -q --clear -p $(PYTHON) $(PEERS)-$*
	@$(UV) pip install -q -p $(PEERS)-$* -r benchmarks/peers-$*.txt && touch $@ || echo "$* does not install here"

# The clients that people have. Their tests are left out, with a word, where they do not install.
$(CLIENTS): .venv/%/.ready: tests/clients/%.txt | $(UV)
	@echo "setting up: $* of the protocol, to test with"
	@test -x .venv/$*/bin/python || $(UV) venv -q --clear -p $(PYTHON) .venv/$* || true
	@$(UV) pip install -q -p .venv/$* -r $< && touch $@ || echo "$* do not install here: they are not tested"
