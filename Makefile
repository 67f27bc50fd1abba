# `make demo` and `make test` are all that a newcomer needs; CI runs the same targets.
.PHONY: demo test soak setup build web lint audit bench bench-web clean

FORNAX ?= target/release/fornax
NEXTEST = cargo nextest run --workspace --no-fail-fast

# Builds Fornax, starts it, runs a real plan on this repository and opens the page.
demo: build
	@scripts/demo $(FORNAX)

# The page first: it becomes part of the binary.
build: web/dist/index.html
	cargo build --release --locked -p fornax

WEB_SOURCES := $(shell find web/src web/index.html web/vite.config.ts -type f 2>/dev/null)

# npm writes this file when everything is installed.
WEB_PACKAGES := web/node_modules/.package-lock.json

$(WEB_PACKAGES): web/package-lock.json
	cd web && npm ci --no-audit --no-fund

web/dist/index.html: $(WEB_PACKAGES) $(WEB_SOURCES)
	cd web && npm run build

web: web/dist/index.html

# Sets up what the tests need, and runs all of them.
test: setup web
	cargo build --locked --workspace
	$(NEXTEST) --locked
	cargo test --locked --workspace --doc
	node --test integrations/opencode/
	cd web && npm run check && npm test
	cd web && npm run e2e
	cd web && npm run e2e:visual
	cd web && npm run e2e:live

# The crash tests with many more kills than `make test` has; each prints the seed that repeats it.
SOAK_KILLS ?= 2000
soak: web
	FORNAX_CRASH_KILLS=$(SOAK_KILLS) FORNAX_START_KILLS=$(SOAK_KILLS) \
		cargo test --locked -p fornax --test crash --test lifecycle -- --nocapture

setup:
	@scripts/setup

lint: $(WEB_PACKAGES)
	cd web && npm run --silent lint
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo deny --locked check bans licenses sources

# Known holes in what is depended upon; fetches the list of them from github.com.
audit:
	cargo deny --locked check advisories

# Fornax beside its peers, in the same run.
bench: build
	bench/run

# The page's chart beside other flame charts, in the same browser.
bench-web: web
	bench/web/run

clean:
	cargo clean
	rm -rf web/dist web/node_modules
