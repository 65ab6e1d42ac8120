#!/usr/bin/env bash
# Builds and runs the C++ tests. With "sanitize": under AddressSanitizer and UndefinedBehaviorSanitizer.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/native
options=(-DCMAKE_BUILD_TYPE=Release)
if [ "${1:-}" = sanitize ]; then
  build=build/sanitize
  options=(-DMG_SANITIZE=ON)
fi
cmake -S . -B "$build" "${options[@]}" >/dev/null
cmake --build "$build" --target mg_test -j "$(nproc)" >"$build/build.log" 2>&1 || { grep -E -A5 "error" "$build/build.log"; exit 1; }
grep -E "warning:" "$build/build.log" || true
exec "$build/mg_test"
