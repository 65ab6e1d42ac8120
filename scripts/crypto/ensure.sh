#!/usr/bin/env bash
# Makes sure that there is an OpenSSL for tests over it: .openssl/TARGET/. Unlike build.sh it keeps the one that debian11.sh has made with
# Debian 11's compiler, if it is of the version in source.sh.
#
#   scripts/crypto/ensure.sh linux-x64 | linux-arm64
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/crypto/source.sh
grep --quiet --fixed-strings "OPENSSL_VERSION_STR \"$OPENSSL_VERSION\"" ".openssl/$1/include/openssl/opensslv.h" 2>/dev/null ||
  scripts/crypto/build.sh "$1"
