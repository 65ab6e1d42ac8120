#!/usr/bin/env bash
# Makes prebuilds in a Debian 11 system, so that they run with glibc 2.31 and newer: prebuilds/TARGET/, and their libraries in .openssl/TARGET/.
#
#   sudo env "PATH=$PATH" scripts/prebuild/debian11.sh linux-x64 [linux-arm64]
#
# Needs root, debootstrap, a Node with its headers, and `npm ci` before it. The system is kept in .debian11/. MODEL_GUARD_PREBUILD_PLACE is
# a word that the path of the sources in that system contains; the binary is the same for every path.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PATH:/usr/sbin:/sbin"
GLIBC=2.31
place="${MODEL_GUARD_PREBUILD_PLACE:-here}"
[[ "$place" =~ ^[a-z]+$ ]] || { echo "MODEL_GUARD_PREBUILD_PLACE: a word of small letters" >&2; exit 2; }
at="/model-guard/$place"

# The mounts below are seen by this script alone, and end with it.
[ "${1:-}" = --mounts ] || exec unshare --mount --propagation private scripts/prebuild/debian11.sh --mounts "$@"
shift
[ $# -gt 0 ] || { echo "usage: scripts/prebuild/debian11.sh linux-x64 | linux-arm64 ..." >&2; exit 2; }

machine="$(dpkg --print-architecture)"
for target in "$@"; do
  case "$machine-$target" in
    amd64-linux-x64 | arm64-linux-arm64 | amd64-linux-arm64) ;;
    *) echo "$target cannot be made on $machine" >&2; exit 2 ;;
  esac
done
packages=(g++ make perl python3)
[ "$machine" != amd64 ] || packages+=(g++-aarch64-linux-gnu nasm xz-utils)
scripts/prebuild/debian-root.sh build "$machine" "${packages[@]}"
root=.debian11/build

# What root makes is the user's who asked for it.
give_back() { [ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" prebuilds .openssl; }
trap give_back EXIT

# The sources alone.
mkdir -p "$root$at/.openssl" .openssl
find "$root$at" -mindepth 1 -maxdepth 1 ! -name .openssl -exec rm -rf --one-file-system {} +
git -c safe.directory='*' ls-files -z --cached --others --exclude-standard --deduplicate |
  tar --create --null --ignore-failed-read --files-from=- | tar --extract --no-same-owner --directory "$root$at"
archives=()
for name in OPENSSL IPSEC_MB; do
  archive="$(scripts/crypto/fetch.sh "$name")"
  cp "$archive" "$root$at/.openssl/"
  archives+=("MODEL_GUARD_${name}_ARCHIVE=$at/.openssl/${archive##*/}")
done

# Read-only: nothing in that system can change this one. An addon is compiled with the headers of the Node that runs node-gyp.
bind() {
  if [ -d "$1" ]; then mkdir -p "$2"; else mkdir -p "$(dirname "$2")" && touch "$2"; fi
  mount --bind "$1" "$2"
  mount -o remount,bind,ro "$2"
}
prefix="$(node -p "path.resolve(process.execPath, '../..')")"
[ -e "$prefix/include/node/node_api.h" ] || { echo "there are no headers of Node in $prefix/include/node" >&2; exit 1; }
bind "$prefix/bin/node" "$root/usr/local/bin/node"
bind "$prefix/include/node" "$root/usr/local/include/node"
bind node_modules "$root$at/node_modules"
mount -t proc proc "$root/proc"

for target in "$@"; do
  # shellcheck disable=SC2016
  chroot "$root" /usr/bin/env -i PATH="$at/node_modules/.bin:/usr/local/bin:/usr/bin:/bin" HOME=/root npm_config_nodedir=/usr/local \
    "${archives[@]}" \
    /bin/sh -c 'cd "$1" && exec node scripts/prebuild.mjs --arch "$2" --glibc "$3"' sh "$at" "${target#linux-}" "$GLIBC"
  for made in "prebuilds/$target" ".openssl/$target"; do
    rm -rf "$made"
    cp -r "$root$at/$made" "$made"
  done
done
