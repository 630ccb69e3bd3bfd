# Every command of the project; `make` lists them. uv is fetched when missing, and installs the rest.
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
UV := ./deploy/uv
RUN := $(UV) run --locked --quiet
# Airflow lives with libraries of its own.
RUN_AIRFLOW := $(UV) run --directory airflow --locked --quiet
# A JVM of a test lives for minutes: the optimising compiler would cost more than it saves.
PYTEST := JDK_JAVA_OPTIONS=-XX:TieredStopAtLevel=1 $(RUN) pytest
# A file at a time for each core, at most four: each has servers of its own.
PYTEST_BY_CORE := $(PYTEST) --numprocesses auto --maxprocesses 4 --dist loadfile
STAGING_OPTION := $(if $(STAGING),--staging $(STAGING))
BROWSE := $(UV) run --no-project --quiet --with playwright==1.65.2 --with pillow==13.0.0
# Exit code of batch-etl: there was nothing to do.
NOTHING_TO_DO := 10
ON_AWS = $(if $(and $(STACK),$(REGION)),--stack $(STACK) --region $(REGION),$(error which stack, and where? make $@ STACK=pins REGION=eu-central-1))
AIRFLOW := airflow-api-server airflow-scheduler airflow-dag-processor airflow-triggerer
.DEFAULT_GOAL := help

help: ## list the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2} /^## / {printf "\n%s\n", substr($$0, 4)}' $(MAKEFILE_LIST)

## Run it
demo: setup ## set up, start the stack, post the reference dataset, show what arrived where
	@$(RUN) native up && $(RUN) native run pinflow-demo post && $(RUN) native run batch-etl run $(STAGING_OPTION) \
		&& $(RUN) native run pinflow-demo check && $(RUN) native hints
up: setup ## start the stack: servers and services as local processes; watched by Prometheus: make up OBSERVE=1
	@$(RUN) native up $(if $(OBSERVE),--observe)
status: setup ## what runs, where, and what it waits for
	@$(RUN) native status
logs: setup ## the last log lines of everything; one program: make logs P=s3-sink
	@$(RUN) native logs $(P)
etl: setup ## load the archive into the catalogue: make etl STAGING=redis ARGS="…"
	@$(RUN) native run batch-etl run $(STAGING_OPTION) $(ARGS) || { code=$$?; [ $$code -eq $(NOTHING_TO_DO) ] && exit; \
		echo "batch-etl ended with $$code; make makes 2 of every failure: a script asks for \`$(RUN) native run batch-etl run\`" >&2; \
		exit $$code; }
cql: setup ## a shell on the catalogue, or one statement: make cql Q="SELECT …"
	@$(RUN) native cql $${Q:+"$$Q"}
sql: setup ## a shell on the live windows, or one statement: make sql Q="SELECT …"
	@$(RUN) native sql $${Q:+"$$Q"}
down: setup ## stop every process of the stack; data stay
	@$(RUN) native down
reset: setup ## stop the stack and delete its data, secrets and logs
	@$(RUN) native reset

## Run it in containers
secrets: ## make every credential of the compose stack, once; then: docker compose up --wait
	@deploy/compose/secrets.sh
start: secrets ## start the compose stack in order, by Airflow's DAG pins_runtime
	@docker compose --profile batch create && docker compose up --wait $(AIRFLOW) \
		&& docker compose exec -T airflow-api-server python -m pinflow_airflow.start
stop: ## stop the compose stack, first who would start it again; data stay
	@docker compose stop airflow-scheduler && docker compose --profile '*' stop
compose-demo: secrets ## start the compose stack, send the reference dataset through it, show what arrived where
	@docker compose up --wait && docker compose --profile batch create && docker compose run --rm demo post \
		&& docker compose run --rm batch-etl$(addprefix -,$(STAGING)) run $(STAGING_OPTION) && docker compose run --rm demo check

## Run it on AWS
deploy: setup ## create or update a stack: make deploy STACK=pins REGION=eu-central-1 ARGS="--dry-run"
	@$(RUN) cloud-stack deploy $(ON_AWS) $(if $(REVISION),--revision $(REVISION)) $(if $(REPOSITORY),--repository $(REPOSITORY)) $(ARGS)
destroy: setup ## delete a stack; the archive stays: make destroy STACK=pins REGION=eu-central-1
	@$(RUN) cloud-stack destroy $(ON_AWS) $(ARGS)

## Prove it
test: setup check build ## all tests: checks, unit, contract, integration, end to end
	@$(RUN_AIRFLOW) pytest
	@$(PYTEST_BY_CORE) tests/e2e tests/integration tests/contract packages services deploy tests/images tests/template
check: setup ## formatting, lint and types
	@$(RUN) ruff format --check --quiet . && $(RUN) ruff check --quiet . && $(RUN) mypy && $(RUN_AIRFLOW) mypy
test-unit: setup build ## tests that need no network and no server
	@$(PYTEST_BY_CORE) packages services deploy tests/images tests/template
test-airflow: setup ## what a DAG has to be, and its parts
	@$(RUN_AIRFLOW) pytest
test-contract: setup ## the borders: wire, Spark, tables, settings
	@$(PYTEST_BY_CORE) tests/contract
test-integration: setup build ## each service with its real neighbours
	@$(PYTEST) tests/integration
test-e2e: setup build ## the whole line, faults included
	@$(PYTEST) tests/e2e
test-docker: setup build ## the compose stack in real containers, and on a host as AWS would start it
	@$(PYTEST) tests/compose && $(PYTEST) tests/cloud
test-deploy: setup build ## the stack on AWS, without AWS: template, roles, and the user data on a host
	@$(PYTEST) deploy/cloudformation tests/template tests/cloud
test-long: setup build ## the proofs in their full length
	@PINFLOW_LONG=1 $(PYTEST) packages services deploy tests/contract tests/integration tests/e2e
	@PINFLOW_LONG=1 $(PYTEST) tests/compose/test_staging_comparison.py
	@PINFLOW_LONG=1 $(PYTEST) tests/compose/test_cluster.py
	@PINFLOW_LONG=1 $(PYTEST) tests/cloud

## Work on it
# Airflow is large, and only its tests import it here: what they need is compiled as they go.
setup: ## install what the project needs into .venv
	@if [ -d .venv ]; then quiet=--quiet; fi; $(UV) sync --locked --compile-bytecode $$quiet
	@if [ -d airflow/.venv ]; then quiet=--quiet; fi; $(UV) sync --project airflow --locked $$quiet
build: setup ## download and build the servers into the cache; install Java and Maven where possible
	@$(RUN) native build
format: setup ## format and fix what can be fixed
	@$(RUN) ruff format . && $(RUN) ruff check --fix .
dashboards: setup ## write Grafana's dashboards anew
	@$(RUN) dashboards
screenshots: ## take the pictures of docs/screenshots anew, of the running Airflow; needs chromium
	@$(BROWSE) python docs/screenshots/take.py $(ARGS)
update-golden: setup ## write the golden files anew, for review in the diff
	@UPDATE_GOLDEN=1 $(PYTEST) packages/pin-schema/tests/test_golden_schema.py

.PHONY: help demo up status logs etl cql sql down reset secrets start stop compose-demo deploy destroy setup build format dashboards screenshots update-golden \
	test check test-unit test-airflow test-contract test-integration test-e2e test-docker test-deploy test-long
