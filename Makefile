# Everything starts here. A machine needs python3 (3.11 or newer) with pip, git and make; `make help` lists the targets.
PY ?= python3
ARGS ?=

UV := .tools/bin/uv
DAEMON := .venv/bin
AIRFLOW := .venv-airflow/bin
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
SYNC := $(UV) pip sync -q --require-hashes --only-binary :all:
VENV := $(UV) venv -q --clear --python $(PY) --no-python-downloads
# local/ is a development program; watcher/dags lives in the other environment; click, pydantic_core, yarl are parts of what we name.
DEPTRY := --extend-exclude '^local/|^watcher/dags/|^airflow/|^docs/' \
	--per-rule-ignores 'DEP002=apache-airflow|apache-airflow-providers-common-sql|apache-airflow-providers-postgres|apache-airflow-providers-snowflake|astronomer-cosmos|dbt-core|dbt-duckdb|dbt-postgres|dbt-snowflake|dlt,DEP003=click|pydantic_core|yarl'
CODE := airflow local tests watcher
SOURCES := $(shell find watcher -type f -not -name '*.pyc')

# Airflow compiles its many modules once, not at every start of a task.
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 10

.PHONY: setup
setup: .venv/.project .venv-airflow/.project .venv-fakesnow/.ok ## build .venv (daemon) and .venv-airflow from the hashed locks

.PHONY: run
run: setup ## a shop, a landing folder, a real Airflow and the watcher on this machine, until Ctrl-C
	@$(DAEMON)/python -m local.run $(ARGS)

.PHONY: check
check: format-check lint types imports fast ## all that needs no Airflow: format, lint, types, imports, unit tests

.PHONY: test
test: fast dags acceptance ## all tests, on a real Airflow and a real PostgreSQL

.PHONY: fast
fast: setup
	$(DAEMON)/pytest -q -m "not acceptance and not airflow"

.PHONY: dags
dags: setup
	$(AIRFLOW)/pytest -q -c tests/dags/pytest.ini tests/dags

.PHONY: acceptance
acceptance: setup
	$(DAEMON)/pytest -q -m acceptance

.PHONY: format format-check
format: setup ## format the code, mend what can be mended
	$(DAEMON)/ruff format $(CODE)
	$(DAEMON)/ruff check --fix $(CODE)
format-check: setup
	$(DAEMON)/ruff format --check $(CODE)

.PHONY: lint
lint: setup ## ruff, and that every dependency is declared
	$(DAEMON)/ruff check $(CODE)
	$(DAEMON)/deptry . $(DEPTRY)

.PHONY: types
types: setup ## mypy, strict; the DAGs' side with Airflow's own interpreter
	$(DAEMON)/mypy
	$(DAEMON)/mypy --cache-dir .mypy_cache/airflow --python-executable $(AIRFLOW)/python $(wildcard watcher/dags/*.py watcher/dags/*/*.py airflow/dags/*.py)

.PHONY: imports
imports: setup ## that the floors hold: who may import whom
	$(DAEMON)/lint-imports

.PHONY: bench
bench: setup ## how long from a change to a run, what parsing costs, each beside its peer
	$(DAEMON)/python -m tests.bench $(ARGS)
	$(DAEMON)/python -m tests.bench.parsing

.PHONY: soak
soak: setup ## kill the watcher again and again while rows are written; count what is lost or doubled
	$(DAEMON)/python -m tests.soak $(ARGS)

.PHONY: lock
lock: $(UV) ## write the locks anew, without moving what need not move
	for name in tools build daemon dev airflow fakesnow dagfactory; do $(COMPILE) requirements/$$name.in -o requirements/$$name.txt || exit 1; done

.PHONY: clean
clean: ## delete the state of `make run`, caches and build output
	rm -rf .local dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find watcher local tests airflow -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: purge
purge: clean ## delete the environments too
	rm -rf .venv .venv-airflow .venv-fakesnow .tools

# pip's --target needs neither ensurepip nor a virtual environment, which some systems package apart.
$(UV): requirements/tools.txt
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it: make PY=python3.12")'
	@echo "Building the environments; this happens once and takes a minute or two."
	rm -rf .tools
	$(PY) -m pip install -q --disable-pip-version-check --root-user-action=ignore --require-hashes --only-binary :all: --no-deps --target .tools -r $<
	@touch $@

.venv/.ok: requirements/dev.txt | $(UV)
	$(VENV) .venv
	$(SYNC) -p $(DAEMON)/python $<
	@touch $@

.venv/.project: pyproject.toml .venv/.ok
	$(UV) pip install -q -p $(DAEMON)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv-airflow/.ok: requirements/airflow.txt | $(UV)
	$(VENV) .venv-airflow
	$(SYNC) -p $(AIRFLOW)/python $<
	@touch $@

.venv-fakesnow/.ok: requirements/fakesnow.txt | $(UV)
	$(VENV) .venv-fakesnow
	$(SYNC) -p .venv-fakesnow/bin/python $<
	@touch $@

# A wheel, as a site would install it: an editable install would put this folder's `airflow/` in Airflow's way.
.venv-airflow/.project: pyproject.toml README.md $(SOURCES) .venv/.project .venv-airflow/.ok
	rm -rf .tools/dist
	$(DAEMON)/hatchling build -t wheel -d .tools/dist
	$(UV) pip install -q -p $(AIRFLOW)/python --no-deps --reinstall .tools/dist/*.whl
	@touch $@
