# Each target is a line or two; what must be installed is in .ci/setup.
DIR   ?= $(if $(filter 0,$(shell id -u)),/var/lib/howdah/local,$(HOME)/.local/share/howdah/local)
PORT  ?= 9700
FILE  ?= config/samples/minimal.yaml
CACHE := $(if $(filter 0,$(shell id -u)),/var/cache/howdah,$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/howdah)

E2E   := $(or $(CARGO_TARGET_DIR),target)/debug/howdah-e2e

# For the tests: a PostgreSQL 18 beside the system's, and a Python with psycopg2.
export HOWDAH_POSTGRES_18 := $(CACHE)/postgresql-18/bin
export HOWDAH_PYTHON      := $(CACHE)/python/bin/python3

.PHONY: build up down test check bench crds install-yaml setup e2e e2e-quick e2e-down

build:
	@.ci/setup build
	cargo build --release -p howdah
	@if [ -n "$$CARGO_TARGET_DIR" ]; then mkdir -p target/release && ln -sf "$$CARGO_TARGET_DIR/release/howdah" target/release/howdah; fi

up: build
	@target/release/howdah local up -f $(FILE) --dir $(DIR) --port $(PORT) --detach

down:
	@target/release/howdah local down --dir $(DIR)

test: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --workspace --no-fail-fast

check:
	cargo check --workspace --all-targets

bench: build
	@.ci/setup bench
	bench/run.sh

crds:
	UPDATE_EXPECT=1 cargo test -q -p howdah-api _current
	PATH="$$PATH:$${HOWDAH_E2E_DIR:-$$HOME/.cache/howdah-e2e}/bin" helm template howdah charts/howdah --namespace howdah-system --show-only templates/serviceaccount.yaml --show-only templates/rbac.yaml > config/rbac.yaml

# The end-to-end suite on a real Kubernetes cluster; e2e/README.md. ARGS: names of tests, or options.
e2e: e2e-build
	@$(E2E) run $(ARGS)

e2e-quick: e2e-build
	@$(E2E) run --quick --down $(ARGS)

e2e-down: e2e-build
	@$(E2E) down

.PHONY: e2e-build
e2e-build:
	@.ci/setup build
	@.ci/setup e2e
	cargo build -p howdah -p howdah-e2e

# IMAGE=repository:tag POSTGRES_IMAGE=image: instead of the chart's own.
install-yaml:
	@charts/install-yaml "$(IMAGE)" "$(POSTGRES_IMAGE)"

setup:
	@.ci/setup build
	@.ci/setup test
