#!/usr/bin/env bash
# Makes a Debian 11 system in a folder below .debian11/, as root: glibc 2.31, and only the named packages beyond the base.
#
#   scripts/prebuild/debian-root.sh NAME amd64 | arm64 [PACKAGE...]
#
# Debian 11 gets no more updates, so it is the same every time. A system that is there stays, unless other packages are wanted; one that
# was interrupted is made anew. debootstrap is installed where it is missing. MODEL_GUARD_DEBIAN names another mirror. A foreign processor's
# system needs qemu-user-static, with its entry in binfmt_misc.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PATH:/usr/sbin:/sbin"
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
name="$1" arch="$2"
shift 2
root=".debian11/$name"
packages="$arch $*"
[ -d "$root" ] && [ "$(cat "$root.packages" 2>/dev/null)" = "$packages" ] && exit 0
[ "$(id -u)" -eq 0 ] || { echo "$0: root alone can make a system" >&2; exit 1; }

if ! { command -v debootstrap && [ -e "$KEYS" ]; } >/dev/null; then
  { apt-get update && apt-get install --yes --no-install-recommends debootstrap debian-archive-keyring; } >&2
fi
mkdir -p .debian11
rm -rf --one-file-system "$root.new" "$root"
echo "making a Debian 11 system in $root: a few minutes; its output goes to $root.log" >&2
{
  if [ $# -eq 0 ]; then
    debootstrap --variant=minbase --arch="$arch" --force-check-gpg --keyring="$KEYS" bullseye "$root.new" \
      "${MODEL_GUARD_DEBIAN:-http://deb.debian.org/debian}"
  else
    scripts/prebuild/debian-root.sh "bare-$arch" "$arch"
    cp -a ".debian11/bare-$arch" "$root.new"
    chroot "$root.new" apt-get update
    DEBIAN_FRONTEND=noninteractive chroot "$root.new" apt-get install --yes --no-install-recommends "$@"
  fi
} >"$root.log" 2>&1 || { tail -20 "$root.log" >&2; exit 1; }
mv "$root.new" "$root"
echo "$packages" >"$root.packages"
