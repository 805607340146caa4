# Every target is a plain cargo command or a short script in .ci/; CI calls these and nothing else.
CARGO ?= cargo
MUSL  := x86_64-unknown-linux-musl
LIBS  := birl-logsource birl-rules-dsl birl-router birl-scaler
FUZZED := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

.PHONY: all lint fmt test unit real loom loss soak fuzz embed package static bench figures quality strategies peers doc parts

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
test: parts unit real loom loss embed package static

# What is missing is installed, on Debian, as root or with sudo.
parts:
	.ci/parts

unit:
	$(CARGO) test --workspace
	for lib in $(LIBS); do $(CARGO) test -p $$lib || exit 1; done

real:
	$(CARGO) test -p birl-logsource -p birl-router -p birl-scaler --features real-parts --test real
	$(CARGO) test -p birl-scaler --features real-parts,etcd,kube --test real -- etcd:: kube::
	$(CARGO) test -p birl --features real-parts,etcd,kube --test it -- etcd:: kubernetes::

loom:
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom \
	  $(CARGO) test -p birl-logsource -p birl-router --release --no-default-features --lib loom

# Rotations, truncations, stalls and 20 kills; what it found is done again with SEED and SCENARIO.
loss:
	$(CARGO) test -p birl-logsource --test loss -- --kills $(or $(KILLS),20) \
	  $(if $(SEED),--seed $(SEED)) $(if $(SCENARIO),--scenario $(SCENARIO))

# The large counts: 210 kills over every scenario of lost lines, a million pairs of a rule set and a record, 100,000 cases
# of each property of the router, and the router beside a real Alertmanager (20,000 questions, 900 timelines), in release
# mode. The seeds and what came of it are in docs/soak.md.
soak:
	mkdir -p target
	$(CARGO) test -p birl-logsource --release --test loss -- --kills $(or $(KILLS),210) \
	  --seed $(or $(SEED),$$(date +%s)) --write $(CURDIR)/target/soak.txt
	.ci/soak target/soak.txt docs/soak.md
	$(CARGO) test -p birl-rules-dsl --release --test differential -- --pairs $(or $(PAIRS),1000000) \
	  --seed $(or $(SEED),$$(date +%s)) --write $(CURDIR)/target/soak-rules.txt
	.ci/soak target/soak-rules.txt docs/soak.md "make soak, rules"
	.ci/soak-properties $(or $(CASES),100000) $(or $(SEED),$$(date +%s)) $(CURDIR)/target/soak-properties.txt; \
	  status=$$?; .ci/soak target/soak-properties.txt docs/soak.md "make soak, properties"; exit $$status
	rm -f target/soak-router.txt
	REAL_CASES=$(or $(QUESTIONS),20000) REAL_STORIES=$(or $(STORIES),900) REAL_SEED=$(or $(SEED),$$(date +%s)) \
	  REAL_WRITE=$(CURDIR)/target/soak-router.txt \
	  $(CARGO) test -p birl-router --features real-parts --release --test real
	.ci/soak target/soak-router.txt docs/soak.md "make soak, router"

# One parser of outside bytes, for a time; what it finds is in fuzz/artifacts/. See docs/fuzzing.md.
fuzz:
	@$(CARGO) fuzz --version >/dev/null 2>&1 || \
	  { echo "cargo-fuzz is missing: $(CARGO) install cargo-fuzz --locked" >&2; exit 1; }
	@test -f "fuzz/fuzz_targets/$(TARGET).rs" || \
	  { echo "make fuzz TARGET=… SECONDS=300, with one of:" $(FUZZED) >&2; exit 1; }
	mkdir -p target/fuzz-corpus/$(TARGET)
	RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run -s $(or $(SANITIZER),none) $(TARGET) target/fuzz-corpus/$(TARGET) \
	  $(wildcard fuzz/seeds/$(TARGET)) -- -max_total_time=$(or $(SECONDS),300) \
	  -max_len=$(or $(MAX_LEN),1024) -timeout=20 -rss_limit_mb=2048 -print_final_stats=1

# The four programs that meet one library each, as a user does; dependency counts and cold check times.
embed:
	.ci/embed

# Cargo unpacks and builds what it packed once for each version and folder; an earlier commit's must go.
package:
	rm -rf $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/-*/birl-* \
	  $(or $(CARGO_TARGET_DIR),target)/debug/.fingerprint/birl-*
	$(CARGO) package --workspace --exclude birl-benches --allow-dirty

# The third part of a megabyte: a program that is loaded anywhere lists what must be adjusted, here as bits and not as entries. musl does
# the adjusting from 1.2.4 on, and Rust brings 1.2.5.
static: export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS := -C link-arg=-Wl,-z,pack-relative-relocs
static:
	$(CARGO) build --profile dist -p birl --bin birl --target $(MUSL)
	.ci/size target/$(MUSL)/dist/birl 10

bench:
	$(CARGO) bench -p birl-benches

# The headline numbers, each beside its limit in the same run, with as much work as is promised; `make figures ARGS=--short` to see a
# slip, `make figures ARGS="file_read --size 1GiB"` for one of them.
figures:
	$(CARGO) run --release -p birl-benches --bin figures -- $(ARGS)

# How well the scaler decides, in simulation: tables and plots, written into the docs; `ARGS=--tune` searches the grid.
quality:
	$(CARGO) run --release -p birl-benches --bin quality -- --write docs $(ARGS)

# What each way of reading a log costs, written into the docs.
strategies:
	$(CARGO) run --release -p birl-benches --bin strategies -- --write docs/logsource-strategies.md $(ARGS)

# The crates that do the same, on the same file and the same rules; `make peers ARGS="--json 1024"`. What one of them
# brings along asks for a newer compiler than it needs.
peers:
	$(CARGO) run --release --ignore-rust-version --manifest-path benches/peers/Cargo.toml -- $(ARGS)

doc:
	$(CARGO) doc --workspace --no-deps --all-features --open
