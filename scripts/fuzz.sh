#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each for MG_FUZZ_SECONDS (60), then those of the tensor tables, which are TypeScript. A finding in C++
# is kept as build/fuzz/crash-*; one in a table is printed, with the seed that repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."
export MG_FUZZ_SECONDS="${MG_FUZZ_SECONDS:-60}"
echo "compiling the fuzz targets into build/fuzz: minutes the first time"
cmake -S . -B build/fuzz -DMG_FUZZ=ON -DCMAKE_CXX_COMPILER=clang++ >/dev/null
cmake --build build/fuzz -j "$(nproc)" >build/fuzz/build.log 2>&1 || { grep -E -A5 "error" build/fuzz/build.log; exit 1; }
grep -E "warning:" build/fuzz/build.log || true

# Runs one target; prints what it did, or the end of its log.
fuzz() {
  local target="$1" log="build/fuzz/$1.log"
  local options=(-max_total_time="$MG_FUZZ_SECONDS" -print_final_stats=1 -verbosity=0 -artifact_prefix=build/fuzz/)
  [ -f "native/fuzz/$target.dict" ] && options+=(-dict="native/fuzz/$target.dict")
  if ! "build/fuzz/${target}_fuzz" "${options[@]}" >"$log" 2>&1; then
    tail -40 "$log"
    echo "the $target fuzzer found something: build/fuzz/crash-* holds the input"
    return 1
  fi
  echo "fuzzed $target: $(awk '/number_of_executed_units/ { print $2 }' "$log") runs, no finding"
}

# An input that takes a lot of memory ends the process by the limit of its heap, one that hangs by the time.
fuzz_table() {
  local format="$1" log="build/fuzz/table-$1.log"
  local node=(node --expose-gc --max-old-space-size=192 --import tsx)
  if ! timeout -k 5 "$((MG_FUZZ_SECONDS * 2 + 120))" "${node[@]}" test/fuzz/tables.ts "$format" >"$log" 2>&1; then
    tail -40 "$log"
    echo "the fuzzer of the $format table found something: $(head -1 "$log") repeats it"
    return 1
  fi
  echo "fuzzed the table of $format: $(tail -1 "$log")"
}
export -f fuzz fuzz_table

{ printf 'fuzz %s\n' header manifest payload machine legacy; printf 'fuzz_table %s\n' safetensors gguf onnx; } |
  xargs -P "$(nproc)" -I TARGET bash -c 'TARGET'
