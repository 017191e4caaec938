# The commands of this project. Each one installs what it lacks (scripts/setup) and says so.
.DEFAULT_GOAL := help
.PHONY: help setup build install demo demo-down test test-matrix fuzz sanitize soak faults check bench clean distclean

# Rust's installer puts cargo there, and a shell that is no login shell does not look there.
export PATH := $(PATH):$(HOME)/.cargo/bin
export KEEP DESTDIR PREFIX ERLANG_LIB

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null || \
		sed -nE 's/^([a-z-]+):.*## (.*)/  make \1  \2/p' $(MAKEFILE_LIST)

setup: ## install what building needs (Debian packages)
	@scripts/setup build

build: setup ## build the native library and the Erlang modules
	@rebar3 compile

install: ## put it into an Erlang's lib folder (DESTDIR, PREFIX or ERLANG_LIB)
	@scripts/install

demo: ## a cluster over two Docker hosts, and a shell from the host (KEEP=1 leaves it up)
	@scripts/demo up

demo-down: ## take down what `make demo KEEP=1` left
	@scripts/demo down

test: ## all tests: Rust, and Common Test on real engines
	@scripts/test

test-matrix: ## the suites on OTP 25, 27, 29 and on Docker 20.10, 26.1, 28.5 (OTP=27 ENGINE= for less)
	@scripts/test-matrix

fuzz: ## feed the parsers and the HTTP client with what was never meant for them (SECONDS=60 for each target)
	@scripts/fuzz $(or $(SECONDS),60)

sanitize: ## the tests under valgrind and with the address sanitizer
	@scripts/sanitize

soak: build ## an hour of churn with flat memory, threads and descriptors (SOAK_MINUTES=60)
	@scripts/soak

faults: ## every fault, for its whole time, and the table of docs/faults.md
	@scripts/faults

check: ## format, lints, xref, dialyzer, shellcheck
	@scripts/check

bench: build ## measure: the table that the README quotes, and plots, in docs/bench (8 minutes)
	@scripts/setup bench
	@scripts/bench

clean: ## remove what was built
	@rm -rf _build/default/lib _build/test priv/*.so
	@rm -f rebar3.crashdump erl_crash.dump

distclean: clean ## the same with every cache
	@rm -rf _build target
