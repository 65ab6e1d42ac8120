#!/usr/bin/env bash
# Builds and runs the C++ tests. With "sanitize": under AddressSanitizer and UndefinedBehaviorSanitizer. With "own-crypto": over the
# OpenSSL of the prebuilds, which scripts/crypto/build.sh makes.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/native
options=(-DCMAKE_BUILD_TYPE=Release)
case "${1:-}" in
  sanitize)
    build=build/sanitize
    options=(-DMG_SANITIZE=ON)
    ;;
  own-crypto)
    build=build/native-own-crypto
    crypto="$PWD/.openssl/linux-$(node -p process.arch)"
    scripts/crypto/ensure.sh "$(basename "$crypto")"
    options+=(-DMG_CRYPTO="$crypto")
    ;;
esac
echo "compiling the C++ tests into $build: minutes the first time"
cmake -S . -B "$build" "${options[@]}" >/dev/null
cmake --build "$build" --target mg_test -j "$(nproc)" >"$build/build.log" 2>&1 || { grep -E -A5 "error" "$build/build.log"; exit 1; }
grep -E "warning:" "$build/build.log" || true
# One seed for the processes of all cases.
export MG_TEST_SEED="${MG_TEST_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}"
echo "C++ tests: MG_TEST_SEED=$MG_TEST_SEED"
status=0
ctest --test-dir "$build" --no-tests=error --output-on-failure -j "$(nproc)" || status=$?
# ctest shows the output of failed cases alone: the notes of those that skip something are printed here.
grep -h "SKIPPED:" "$build/Testing/Temporary/LastTest.log" | sort -u || true
exit $status
