#!/usr/bin/env bash
# Makes prebuilds in a Debian 11 system, so that they run with glibc 2.31 and newer: prebuilds/TARGET/.
#
#   sudo scripts/prebuild/debian11.sh linux-x64 [linux-arm64]
#
# Needs root, debootstrap, a Node with its headers, and `npm ci` before it. The system is kept in .debian11/.
# MODEL_GUARD_PREBUILD_AT is the path of the sources in that system; the binary is the same for every path.
set -euo pipefail
cd "$(dirname "$0")/../.."
GLIBC=2.31
at="${MODEL_GUARD_PREBUILD_AT:-/src}"

# The mounts below are seen by this script alone, and end with it.
[ "${1:-}" = --mounts ] || exec unshare --mount --propagation private "$0" --mounts "$@"
shift
[ $# -gt 0 ] || { echo "usage: $0 linux-x64 | linux-arm64 ..." >&2; exit 2; }

machine="$(dpkg --print-architecture)"
for target in "$@"; do
  case "$machine-$target" in
    amd64-linux-x64 | arm64-linux-arm64 | amd64-linux-arm64) ;;
    *) echo "$0: $target cannot be made on $machine" >&2; exit 2 ;;
  esac
done
packages=(g++ make perl python3)
[ "$machine" != amd64 ] || packages+=(g++-aarch64-linux-gnu)
scripts/prebuild/debian-root.sh build "$machine" "${packages[@]}"
root=.debian11/build

# An addon is compiled with the headers of the Node that runs node-gyp.
prefix="$(node -p "path.resolve(process.execPath, '../..')")"
[ -e "$prefix/include/node/node_api.h" ] || { echo "$0: there are no headers of Node in $prefix/include/node" >&2; exit 1; }
mkdir -p "$root/usr/local/include/node" "$root$at/node_modules" "$root$at/.openssl"
touch "$root/usr/local/bin/node"
mount --bind "$prefix/bin/node" "$root/usr/local/bin/node"
mount --bind "$prefix/include/node" "$root/usr/local/include/node"
mount -t proc proc "$root/proc"

# The sources alone.
find "$root$at" -mindepth 1 -maxdepth 1 ! -name node_modules ! -name .openssl -exec rm -rf {} +
git -c safe.directory='*' ls-files -z --cached --others --exclude-standard --deduplicate |
  tar --create --null --ignore-failed-read --files-from=- | tar --extract --no-same-owner --directory "$root$at"
mount --bind node_modules "$root$at/node_modules"
archive="$(scripts/crypto/fetch.sh)"
cp "$archive" "$root$at/.openssl/source.tar.gz"

for target in "$@"; do
  chroot "$root" /usr/bin/env -i PATH=$at/node_modules/.bin:/usr/local/bin:/usr/bin:/bin HOME=/root npm_config_nodedir=/usr/local \
    MODEL_GUARD_OPENSSL_ARCHIVE=$at/.openssl/source.tar.gz \
    /bin/sh -c "cd $at && exec node scripts/prebuild.mjs --arch '${target#linux-}' --glibc $GLIBC"
  for made in "prebuilds/$target" ".openssl/$target"; do
    rm -rf "$made"
    mkdir -p "$(dirname "$made")"
    cp -r "$root$at/$made" "$made"
    # What root has made is the user's who asked for it.
    [ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$made"
  done
done
