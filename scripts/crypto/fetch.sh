#!/usr/bin/env bash
# Finds or downloads a source archive of source.sh, checks its digest and prints its path.
#
#   scripts/crypto/fetch.sh OPENSSL | IPSEC_MB
#
# MODEL_GUARD_OPENSSL_ARCHIVE and MODEL_GUARD_IPSEC_MB_ARCHIVE name archives that cannot be downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/crypto/source.sh
case "${1:-}" in
  OPENSSL) name=OpenSSL ;;
  IPSEC_MB) name=libipsec-mb ;;
  *) echo "usage: scripts/crypto/fetch.sh OPENSSL | IPSEC_MB" >&2; exit 2 ;;
esac
declare -n version="$1_VERSION" digest="$1_SHA256" urls="$1_URLS"
variable="MODEL_GUARD_$1_ARCHIVE"

matches() { echo "$digest  $1" | sha256sum --check --status; }
fail() { echo "$1" >&2; exit 1; }

archive="${!variable:-}"
if [ -n "$archive" ]; then
  [ -f "$archive" ] || fail "$variable: there is no file $archive"
  matches "$archive" || fail "$archive is not the source of $name $version: its SHA-256 is another than $digest"
  echo "$archive"
  exit 0
fi

archive=".openssl/${name,,}-$version.tar.${urls[0]##*.}"
mkdir -p .openssl
if ! { [ -f "$archive" ] && matches "$archive"; }; then
  for url in "${urls[@]}"; do
    echo "downloading $url" >&2
    curl --fail --silent --show-error --location --connect-timeout 20 --max-filesize 200000000 --output "$archive.part" "$url" || continue
    matches "$archive.part" && mv "$archive.part" "$archive" && break
    echo "its SHA-256 is another than $digest" >&2
  done
  rm -f "$archive.part"
  matches "$archive" 2>/dev/null || fail "$name $version could not be downloaded: name its archive in $variable"
fi
echo "$archive"
