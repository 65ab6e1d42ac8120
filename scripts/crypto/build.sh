#!/usr/bin/env bash
# Builds the libraries that prebuilt addons carry, with what native/core/crypto uses alone: .openssl/TARGET/{include,lib/libcrypto.a} of
# OpenSSL, and for x64 lib/libipsec-mb-sha256.a, which needs nasm 2.15 or newer.
#
#   scripts/crypto/build.sh linux-x64 | linux-arm64
#
# MODEL_GUARD_OPENSSL_ARCHIVE and MODEL_GUARD_IPSEC_MB_ARCHIVE name source archives that cannot be downloaded (fetch.sh).
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

# SHA-256 in 16, 8 and 2 lanes, and the file with its constants: they need nothing else of libipsec-mb.
assemble_sha256() { # with the flags of its own Makefile
  local file objects=()
  for file in avx512_t1/sha256_x16_avx512 avx2_t1/sha256_oct_avx2 sse_t2/sha256_ni_x2_sse avx_t1/sha256_one_block_avx; do
    objects+=("${file##*/}.o")
    nasm -Werror -felf64 --reproducible -DLINUX -D__linux__ -DSAFE_DATA -I./ -o "${objects[-1]}" "$file.asm" || return
  done
  "${prefix}ar" rcsD libipsec-mb-sha256.a "${objects[@]}"
}

out=".openssl/$target"
stamp="$({ cat scripts/crypto/build.sh scripts/crypto/source.sh; "$CC" --version; nasm --version 2>/dev/null || true; } | sha256sum | cut -d' ' -f1)"
if [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
  echo "$out is up to date ($CRYPTO_VERSIONS)"
  exit 0
fi

work=".openssl/$target.work"
rm -rf "$work" "$out.new"
unpack() {
  local archive
  archive="$(scripts/crypto/fetch.sh "$1")"
  mkdir -p "$2"
  tar -xf "$archive" --no-same-owner --strip-components=1 -C "$2"
}
unpack OPENSSL "$work/openssl"
if [ "$target" = linux-x64 ]; then
  unpack IPSEC_MB "$work/ipsec-mb"
  command -v nasm >/dev/null || { echo "nasm is missing: it assembles libipsec-mb" >&2; exit 1; }
fi
rm -rf "$out"
log="$PWD/.openssl/$target.log"
echo "compiling $CRYPTO_VERSIONS for $target: a minute or two; the output goes to ${log#"$PWD/"}"
(
  [ "$target" != linux-x64 ] || (cd "$work/ipsec-mb/lib" && assemble_sha256) || exit
  cd "$work/openssl"
  export SOURCE_DATE_EPOCH="$OPENSSL_DATE" LC_ALL=C CC AR="${prefix}ar" RANLIB="${prefix}ranlib"
  ./Configure "${options[@]}"
  make -j "$(nproc)" build_generated libcrypto.a
) >"$log" 2>&1 || { tail -20 "$log" >&2; exit 1; }

# openssl/ alone: OpenSSL has inner folders, crypto/ among them, which are also names of rooms of ours.
mkdir -p "$out.new/include" "$out.new/lib"
cp -r "$work/openssl/include/openssl" "$out.new/include/openssl"
cp "$work/openssl/libcrypto.a" "$out.new/lib/"
cp "$work/openssl/LICENSE.txt" "$out.new/LICENSE.openssl.txt"
if [ "$target" = linux-x64 ]; then
  cp "$work/ipsec-mb/lib/libipsec-mb-sha256.a" "$out.new/lib/"
  cp "$work/ipsec-mb/LICENSE" "$out.new/LICENSE.ipsec-mb.txt"
fi
echo "$stamp" >"$out.new/stamp"
echo "$CRYPTO_VERSIONS" >"$out.new/versions"
mv "$out.new" "$out"
rm -rf "$work"
echo "$out: $CRYPTO_VERSIONS, $(($(stat -c %s "$out/lib/libcrypto.a") / 1024)) KiB"
