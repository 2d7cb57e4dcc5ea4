# SPDX-License-Identifier: MIT OR Apache-2.0
# Shortcuts; the build itself is Meson's. `make help` lists them.
PREFIX ?= /usr/local
DESTDIR ?=
PART ?=
TIME ?=
SEED ?=
RESET ?=
ARGS ?=
PEERS ?=
DIR ?=

# Meson takes ccache if it is there, and that fails for a user who has no home.
ifeq ($(shell test -w "$${HOME:-/}" || echo none),none)
export CCACHE_DIR ?= $(CURDIR)/build/ccache
endif

.DEFAULT_GOAL := help
.PHONY: help demo check planted matrix torture fuzz coverage bench format install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: ## kill a writer 15 times and lose nothing: real data, every policy (SEED=N repeats a run)
	@tools/install-packages build demo
	@tools/demo.sh $(if $(SEED),--seed $(SEED))

check: ## all tests: debug with ASan and UBSan, release, threads under TSan, planted bugs, coverage
	@tools/install-packages build test
	@tools/install-packages prometheus || echo "The tests that need Prometheus will be skipped."
	@tools/install-packages torture || echo "The tests on file systems of their own will be skipped."
	@tools/install-packages coverage || echo "Coverage will be skipped."
	@tools/check.sh

planted: ## show that each planted bug makes a test fail
	@tools/install-packages build test
	@tools/planted.sh build

matrix: ## logs of x86-64, i386 and s390x (big-endian, emulated) are read on each of them
	@tools/install-packages build
	@tools/install-packages machines || echo "Machines whose compiler or emulator is missing are skipped."
	@tools/matrix.sh build

torture: ## hours of crashes, faults and kills; goes on where it was (PART=kill: one; PART=mounted: all mounted-...; TIME=seconds of each; GOAL=count; SEED=number; RESET=1: anew)
	@tools/install-packages build test
	@tools/install-packages torture || echo "The tests on file systems of their own will be skipped."
	@tools/install-packages fuzz || echo "The fuzzers will be skipped."
	@DIR='$(DIR)' tools/torture.sh $(if $(RESET),--reset) $(if $(SEED),--seed $(SEED)) $(if $(TIME),--seconds $(TIME)) $(if $(GOAL),--goal $(GOAL)) $(PART)

fuzz: ## look for inputs that break a promise: each fuzzer a minute (PART=recovery TIME=3600: one, an hour)
	@tools/install-packages build fuzz
	@tools/fuzz.sh $(or $(PART),all) $(or $(TIME),60)

coverage: ## how much of src/ the tests reach, and no less than before: a table, and build/coverage.html
	@tools/install-packages build test coverage
	@tools/coverage.sh

bench: ## how fast is it, beside floors: ten minutes (ARGS=--quick: one; ARGS='--report FILE': a page, too; PEERS=1: other stores)
	@tools/install-packages build $(if $(PEERS),peers)
	@DIR='$(DIR)' tools/bench.sh $(if $(PEERS),--peers) $(ARGS)

format: ## is the code formatted as .clang-format says? (FIX=1: format it)
	@tools/install-packages format
	@tools/format.sh $(if $(FIX),--fix)

install: ## build a release and install it under PREFIX (/usr/local)
	@tools/install-packages build
	@test -f build/install/build.ninja || meson setup build/install --buildtype=release -Dtests=disabled >/dev/null
	@meson configure build/install --prefix='$(PREFIX)'
	@ninja -C build/install
	@DESTDIR='$(DESTDIR)' meson install -C build/install --no-rebuild --quiet
	@test -n '$(DESTDIR)' || test "$$(id -u)" -ne 0 || ldconfig

clean: ## remove build/
	rm -rf build
