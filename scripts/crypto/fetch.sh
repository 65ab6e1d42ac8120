#!/usr/bin/env bash
# Finds or downloads the source archive of the OpenSSL in source.sh, checks its digest and prints its path.
# MODEL_GUARD_OPENSSL_ARCHIVE names the archive where it cannot be downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/crypto/source.sh

matches() { echo "$OPENSSL_SHA256  $1" | sha256sum --check --status; }
fail() { echo "$1" >&2; exit 1; }

archive="${MODEL_GUARD_OPENSSL_ARCHIVE:-}"
if [ -n "$archive" ]; then
  [ -f "$archive" ] || fail "MODEL_GUARD_OPENSSL_ARCHIVE: there is no file $archive"
  matches "$archive" || fail "$archive is not the source of OpenSSL $OPENSSL_VERSION: its SHA-256 is another than $OPENSSL_SHA256"
  echo "$archive"
  exit 0
fi

archive=".openssl/openssl-$OPENSSL_VERSION.tar.gz"
mkdir -p .openssl
if ! { [ -f "$archive" ] && matches "$archive"; }; then
  for url in "${OPENSSL_URLS[@]}"; do
    echo "downloading $url" >&2
    curl --fail --silent --show-error --location --connect-timeout 20 --max-filesize 200000000 --output "$archive.part" "$url" || continue
    matches "$archive.part" && mv "$archive.part" "$archive" && break
    echo "its SHA-256 is another than $OPENSSL_SHA256" >&2
  done
  rm -f "$archive.part"
  matches "$archive" 2>/dev/null || fail "OpenSSL $OPENSSL_VERSION could not be downloaded: name its archive in MODEL_GUARD_OPENSSL_ARCHIVE"
fi
echo "$archive"
