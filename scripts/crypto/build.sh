#!/usr/bin/env bash
# Builds the OpenSSL that prebuilt addons carry: .openssl/TARGET/{include,lib/libcrypto.a}, with what native/core/crypto uses alone.
#
#   scripts/crypto/build.sh linux-x64 | linux-arm64
#
# MODEL_GUARD_OPENSSL_ARCHIVE names the source archive where it cannot be downloaded (fetch.sh).
# CC names another compiler; for linux-arm64 on x64 it is aarch64-linux-gnu-gcc. A library that is up to date stays.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/crypto/source.sh

target="${1:-}"
case "$target" in
  linux-x64) platform=linux-x86_64 machine=x86_64 ;;
  linux-arm64) platform=linux-aarch64 machine=aarch64 ;;
  *)
    echo "usage: scripts/crypto/build.sh linux-x64 | linux-arm64" >&2
    exit 2
    ;;
esac
if [ -z "${CC:-}" ]; then
  CC=gcc
  [ "$(uname -m)" = "$machine" ] || CC="$machine-linux-gnu-gcc"
fi
prefix="" # of ar and ranlib, which come with a cross compiler
case "$CC" in *-gcc) prefix="${CC%gcc}" ;; esac

# What the crypto room does not use. Configuration files, modules and engines too: nothing on a host changes this copy. No handler at
# exit: threads of the addon may still run then.
off="apps docs tests shared module engine dso deprecated legacy tls dtls quic http comp sock ui-console autoload-config atexit async err
  filenames stdio thread-pool aria bf blake2 camellia cast chacha cmac cmp cms ct des dh dsa ec2m gost idea md4 mdc2 ml-dsa ml-kem
  multiblock ocb ocsp poly1305 psk rc2 rc4 rfc3779 rmd160 seed siphash siv slh-dsa sm2 sm3 sm4 srp srtp ts whirlpool tls-deprecated-ec
  integrity-only-ciphers"
# No folder of the host is one of OpenSSL's.
options=("$platform" --prefix=/nowhere --openssldir=/nowhere)
for feature in $off; do options+=("no-$feature"); done
options+=(-fPIC -fvisibility=hidden -ffunction-sections -fdata-sections)

out=".openssl/$target"
stamp="$({ cat scripts/crypto/build.sh scripts/crypto/source.sh; "$CC" --version; } | sha256sum | cut -d' ' -f1)"
if [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
  echo "$out is up to date (OpenSSL $OPENSSL_VERSION)"
  exit 0
fi

archive="$(scripts/crypto/fetch.sh)"
work=".openssl/$target.work"
rm -rf "$work" "$out" "$out.new"
mkdir -p "$work"
tar -xzf "$archive" --no-same-owner --strip-components=1 -C "$work"
log="$PWD/.openssl/$target.log"
echo "compiling OpenSSL $OPENSSL_VERSION for $target: a minute or two; its output goes to ${log#"$PWD/"}"
(
  cd "$work"
  export SOURCE_DATE_EPOCH="$OPENSSL_DATE" LC_ALL=C CC AR="${prefix}ar" RANLIB="${prefix}ranlib"
  ./Configure "${options[@]}"
  make -j "$(nproc)" build_generated libcrypto.a
) >"$log" 2>&1 || { tail -20 "$log" >&2; exit 1; }

# openssl/ alone: OpenSSL has inner folders, crypto/ among them, which are also names of rooms of ours.
mkdir -p "$out.new/include" "$out.new/lib"
cp -r "$work/include/openssl" "$out.new/include/openssl"
cp "$work/libcrypto.a" "$out.new/lib/"
cp "$work/LICENSE.txt" "$out.new/LICENSE.txt"
echo "$stamp" >"$out.new/stamp"
mv "$out.new" "$out"
rm -rf "$work"
echo "$out: OpenSSL $OPENSSL_VERSION, $(($(stat -c %s "$out/lib/libcrypto.a") / 1024)) KiB"
