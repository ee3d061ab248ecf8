#!/bin/sh
# Runs each fuzz target for some seconds (default 60), or only the one that is named.
#   fuzz/run.sh [SECONDS] [TARGET]
# Needs a stable Rust and a C++ compiler. `cargo +nightly fuzz run TARGET` works too, and adds the
# address sanitizer.
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
all=$(for file in fuzz_targets/*.rs; do basename "$file" .rs; done)
triple=$(rustc -vV | sed -n 's/^host: //p')

# The coverage that libFuzzer steers by; the flags are those of cargo-fuzz.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1
 -Cllvm-args=-sanitizer-coverage-level=4
 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
 -Cllvm-args=-sanitizer-coverage-pc-table
 -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS=$(printf %s "$RUSTFLAGS" | tr '\n' ' ')
export RUSTFLAGS
cargo build --quiet --locked --release --target "$triple"

target_dir=${CARGO_TARGET_DIR:-target}
for target in ${2:-$all}; do
    mkdir -p "corpus/$target" "artifacts/$target"
    echo "$target: $seconds s"
    # A document of 4 MiB must be answered in far less than a second, and in bounded memory.
    "$target_dir/$triple/release/$target" "corpus/$target" "seeds/$target" \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 \
        -artifact_prefix="artifacts/$target/" -print_final_stats=1 -verbosity=0
done
