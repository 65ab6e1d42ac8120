#!/usr/bin/env bash
# Makes a Debian 11 system in a folder below .debian11/, as root: glibc 2.31, and only the named packages beyond the base.
#
#   scripts/prebuild/debian-root.sh NAME amd64 | arm64 [PACKAGE...]
#
# Debian 11 gets no more updates, so it is the same every time. A system that is there stays; one that was interrupted is made anew.
# debootstrap is installed where it is missing. MODEL_GUARD_DEBIAN names another mirror. A foreign processor's system needs qemu-user-static, with its entry in binfmt_misc.
set -euo pipefail
cd "$(dirname "$0")/../.."
name="$1" arch="$2"
shift 2
root=".debian11/$name"
[ -e "$root" ] && exit 0
[ "$(id -u)" -eq 0 ] || { echo "$0: root alone can make a system" >&2; exit 1; }

command -v debootstrap >/dev/null || apt-get install --yes --no-install-recommends debootstrap debian-archive-keyring >&2
mkdir -p .debian11
rm -rf "$root.new"
echo "making a Debian 11 system in $root: a few minutes; its output goes to $root.log" >&2
{
  if [ $# -eq 0 ]; then
    debootstrap --variant=minbase --arch="$arch" bullseye "$root.new" "${MODEL_GUARD_DEBIAN:-http://deb.debian.org/debian}"
  else
    "$0" "bare-$arch" "$arch"
    cp -a ".debian11/bare-$arch" "$root.new"
    chroot "$root.new" apt-get update
    DEBIAN_FRONTEND=noninteractive chroot "$root.new" apt-get install --yes --no-install-recommends "$@"
  fi
} >"$root.log" 2>&1 || { tail -20 "$root.log" >&2; exit 1; }
mv "$root.new" "$root"
