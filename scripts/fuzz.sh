#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each for MG_FUZZ_SECONDS (60). A finding is kept as build/fuzz/crash-*.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake -S . -B build/fuzz -DMG_FUZZ=ON -DCMAKE_CXX_COMPILER=clang++ >/dev/null
cmake --build build/fuzz -j "$(nproc)" | grep -E 'error|warning|Built target' || true
for target in header manifest payload; do
  options=(-max_total_time="${MG_FUZZ_SECONDS:-60}" -print_final_stats=1 -verbosity=0 -artifact_prefix=build/fuzz/)
  [ -f "native/fuzz/$target.dict" ] && options+=(-dict="native/fuzz/$target.dict")
  echo "fuzzing: $target"
  "build/fuzz/${target}_fuzz" "${options[@]}" 2>&1 | grep -vE '^(INFO|###|Dictionary|#)' | grep -E 'number_of_executed|ERROR|SUMMARY|crash|Assert' || true
  [ "${PIPESTATUS[0]}" -eq 0 ] || { echo "the $target fuzzer found something: see build/fuzz"; exit 1; }
done
