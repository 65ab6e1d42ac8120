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
cmake --build "$build" --target mg_test -j "$(nproc)" | grep -E 'error|warning|Built target mg_test' || true
exec "$build/mg_test"
