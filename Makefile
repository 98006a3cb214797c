# `make demo` and `make test` set up everything else that they need: install Rust (rustup, or the version in
# rust-toolchain.toml), Python 3 and make.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test system-test lint bench fuzz audit tools deb

PYTHON ?= python3
TEST_VENV := target/venv
LINT_VENV := target/lint-venv
PROGRAMS := target/programs
AXE := target/axe
CARGO_DENY := 0.20.2
CARGO_DEB := 3.8.0
# Never changes Cargo.lock.
CARGO_FLAGS := --locked

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 16

demo:  ## a full rotation in two minutes, with a sandbox, consumers and a crash
	cargo run $(CARGO_FLAGS) --quiet -- demo

test: $(TEST_VENV)/.installed $(PROGRAMS)/.installed $(AXE)/.installed  ## run all tests; installs moto, promtool, libfaketime, a browser and axe first
	@export PATH="$(CURDIR)/$(PROGRAMS):$(CURDIR)/$(TEST_VENV)/bin:$$PATH"; \
	export REKEYD_MOTO_SERVER="$(CURDIR)/$(TEST_VENV)/bin/moto_server"; \
	if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run $(CARGO_FLAGS); \
	else \
	  cargo test $(CARGO_FLAGS); \
	fi

system-test: tools target/sbom.cdx.json $(TEST_VENV)/.installed  ## test package, units and image under Debian 12 and 13; needs root
	@[ "$$(id -u)" = 0 ] || { echo "the system tests boot machines; run them as root" >&2; exit 1; }
	tests/system/prepare
	PATH="$(CURDIR)/$(TEST_VENV)/bin:$$PATH" cargo test $(CARGO_FLAGS) --test system

deb: tools target/sbom.cdx.json  ## build the Debian package in target/debian
	cargo deb $(CARGO_FLAGS)

lint: $(LINT_VENV)/.installed  ## check formatting, clippy, dependencies, Dockerfile, scripts and units
	cargo fmt --check
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	$(LINT_VENV)/bin/shellcheck .ci/run tests/programs tests/system/prepare tests/system/image tests/system/base-image packaging/debian/*
	$(LINT_VENV)/bin/hadolint Dockerfile
	@if cargo deny --version >/dev/null 2>&1; then \
	  cargo deny $(CARGO_FLAGS) check licenses bans sources; \
	else \
	  echo "NOT CHECKED: licences, bans and sources of dependencies; install cargo-deny with 'make tools'"; \
	fi
	@if command -v systemd-analyze >/dev/null; then \
	  rm -rf target/units && mkdir -p target/units; \
	  sed -E 's,^(Exec[A-Za-z]+)=.*,\1=/bin/true,' systemd/rekeyd.service > target/units/rekeyd.service; \
	  systemd-analyze verify --man=no --recursive-errors=yes target/units/rekeyd.service; \
	  systemd-analyze security --no-pager --offline=true --threshold=15 target/units/rekeyd.service | tail -n 1; \
	  sed -E 's,^(Exec[A-Za-z]+)=.*,\1=/bin/true,' systemd/rekeyd-agent@.service > target/units/rekeyd-agent@.service; \
	  systemd-analyze verify --man=no --recursive-errors=yes target/units/rekeyd-agent@.service; \
	  systemd-analyze security --no-pager --offline=true --threshold=15 target/units/rekeyd-agent@.service | tail -n 1; \
	else \
	  echo "NOT CHECKED: the units, because systemd-analyze is missing (a test reads them too)"; \
	fi

bench: $(TEST_VENV)/.installed  ## measure the cost of rotations against the bounds in benches/README.md
	@export REKEYD_MOTO_SERVER="$(CURDIR)/$(TEST_VENV)/bin/moto_server"; \
	cargo bench $(CARGO_FLAGS) --bench fleet

FUZZ_SECONDS ?= 60
fuzz:  ## fuzz each target for FUZZ_SECONDS; the tests replay the corpus
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
	@for target in policy provider store journal http; do \
	  mkdir -p target/fuzz/corpus/$$target; \
	  cargo fuzz run --sanitizer none --target-dir target/fuzz $$target target/fuzz/corpus/$$target fuzz/corpus/$$target \
	    -- -max_total_time=$(FUZZ_SECONDS) -max_len=65536; \
	done

audit:  ## check dependencies for known vulnerabilities (downloads the database)
	cargo deny $(CARGO_FLAGS) check advisories

tools:  ## install the programs for lint, audit and deb
	@cargo deny --version 2>/dev/null || cargo install --locked cargo-deny --version $(CARGO_DENY)
	@cargo deb --version 2>/dev/null || cargo install --locked cargo-deb --version $(CARGO_DEB)

target/sbom.cdx.json: Cargo.lock Cargo.toml packaging/sbom
	@mkdir -p $(@D)
	packaging/sbom > $@.new && mv $@.new $@

# Only axe.min.js of it is used, in the browser: what else the package needs is left out.
$(AXE)/.installed: tests/axe.txt $(TEST_VENV)/.installed
	$(TEST_VENV)/bin/pip install --quiet --no-deps --require-hashes --upgrade --target $(AXE) -r tests/axe.txt
	@touch $@

$(PROGRAMS)/.installed: tests/programs
	@tests/programs $(PROGRAMS)

$(TEST_VENV)/.installed: tests/requirements.txt
$(LINT_VENV)/.installed: .ci/lint-requirements.txt
$(TEST_VENV)/.installed $(LINT_VENV)/.installed:
	@rm -rf $(@D) && mkdir -p $(dir $(@D))
	@$(PYTHON) -m venv $(@D) || { \
	  echo "cannot create a virtual environment; install Python 3 with its venv module (Debian: python3-venv)" >&2; \
	  exit 1; }
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@$(@D)/bin/pip check --quiet --disable-pip-version-check
	@touch $@
