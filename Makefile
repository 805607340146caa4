# Every target is a plain cargo command or a short script in .ci/; CI calls these and nothing else.
CARGO ?= cargo
MUSL  := x86_64-unknown-linux-musl
LIBS  := birl-logsource birl-rules-dsl birl-router birl-scaler

.PHONY: all lint fmt test unit real loom embed package static bench figures doc parts

all: lint test

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	for lib in $(LIBS); do \
	  $(CARGO) clippy -p $$lib --no-default-features -- -D warnings || exit 1; \
	  $(CARGO) clippy -p $$lib -- -D warnings || exit 1; \
	  RUSTDOCFLAGS="-D warnings" $(CARGO) doc -p $$lib --no-deps || exit 1; \
	done
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features

fmt:
	$(CARGO) fmt --all

# `cargo test` alone is hermetic. This adds the real parts: journald, Alertmanager, a static build.
test: parts unit real loom embed package static

# What is missing is installed, on Debian, as root or with sudo.
parts:
	.ci/parts

unit:
	$(CARGO) test --workspace
	for lib in $(LIBS); do $(CARGO) test -p $$lib || exit 1; done

real:
	$(CARGO) test -p birl-logsource -p birl-router --features real-parts --test real

loom:
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom \
	  $(CARGO) test -p birl-router --release --no-default-features --lib loom

# The four programs that meet one library each, as a user does; dependency counts and cold check times.
embed:
	.ci/embed

package:
	$(CARGO) package --workspace --exclude birl-benches --allow-dirty

static:
	$(CARGO) build --profile dist -p birl --bin birl --target $(MUSL)
	.ci/size target/$(MUSL)/dist/birl 10

bench:
	$(CARGO) bench -p birl-benches

figures:
	$(CARGO) run --release -p birl-benches --bin figures -- $(ARGS)

doc:
	$(CARGO) doc --workspace --no-deps --all-features --open
