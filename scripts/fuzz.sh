#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each for MG_FUZZ_SECONDS (60). A finding is kept as build/fuzz/crash-*.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "compiling the fuzz targets into build/fuzz: minutes the first time"
cmake -S . -B build/fuzz -DMG_FUZZ=ON -DCMAKE_CXX_COMPILER=clang++ >/dev/null
cmake --build build/fuzz -j "$(nproc)" >build/fuzz/build.log 2>&1 || { grep -E -A5 "error" build/fuzz/build.log; exit 1; }
grep -E "warning:" build/fuzz/build.log || true

# Runs one target; prints what it did, or the end of its log.
fuzz() {
  local target="$1" log="build/fuzz/$1.log"
  local options=(-max_total_time="${MG_FUZZ_SECONDS:-60}" -print_final_stats=1 -verbosity=0 -artifact_prefix=build/fuzz/)
  [ -f "native/fuzz/$target.dict" ] && options+=(-dict="native/fuzz/$target.dict")
  if ! "build/fuzz/${target}_fuzz" "${options[@]}" >"$log" 2>&1; then
    tail -40 "$log"
    echo "the $target fuzzer found something: build/fuzz/crash-* holds the input"
    return 1
  fi
  echo "fuzzed $target: $(awk '/number_of_executed_units/ { print $2 }' "$log") runs, no finding"
}
export -f fuzz

printf '%s\n' header manifest payload machine legacy | xargs -P "$(nproc)" -I TARGET bash -c 'fuzz TARGET'
