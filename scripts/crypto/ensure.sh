#!/usr/bin/env bash
# Makes sure that there are the libraries of prebuilds for tests over them: .openssl/TARGET/. Unlike build.sh it keeps those that debian11.sh
# has made with Debian 11's compiler, if they are of the versions in source.sh.
#
#   scripts/crypto/ensure.sh linux-x64 | linux-arm64
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/crypto/source.sh
[ "$(cat ".openssl/$1/versions" 2>/dev/null)" = "$CRYPTO_VERSIONS" ] || scripts/crypto/build.sh "$1"
