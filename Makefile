# The commands that users type; see README.md.

# One configuration for everything: what is tested is what is shipped, and it is built once.
SWIFT_FLAGS = -c release --explicit-target-dependency-import-check error
BIN = .build/release

.PHONY: build train test bench check clean

build: .build/system-packages
	swift build $(SWIFT_FLAGS)

train: build
	scripts/train-cartpole $(BIN)

test: .build/system-packages check
	swift build $(SWIFT_FLAGS) --build-tests
	scripts/run-swift-tests $(SWIFT_FLAGS)
	$(foreach script,$(wildcard scripts/test-*),$(script) $(BIN) &&) true

# What needs no build: the formatter, whether generated code is what its source gives, and whether the agents' side is built
# as docs/architecture.md says.
check: .build/system-packages
	swift format lint --strict --parallel --recursive Package.swift Sources Tests docs/examples
	$(foreach script,$(wildcard scripts/generate-*),$(script) --check &&) true
	scripts/count-agents --check

bench: build
	Benchmarks/run $(BIN)

clean:
	rm -rf .build

.build/system-packages: scripts/install-system-packages
	scripts/install-system-packages
	mkdir -p .build && touch $@
