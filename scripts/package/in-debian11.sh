#!/usr/bin/env bash
# Installs the package in a Debian 11 system that has no compiler, with Node alone, and tells a story there; prints what it says.
#
#   scripts/package/in-debian11.sh amd64 | arm64 FOLDER
#
# FOLDER holds `node`, the program for that processor; `cache`, of npm, with the package's dependencies; `package.tgz`; and `project` with
# the story and its `guard.json`. Needs root and debootstrap; for arm64 on another processor also qemu-user-static, with its entry in
# binfmt_misc.
set -euo pipefail
# The mounts below are seen by this script alone, and end with it.
[ "${1:-}" = --mounts ] || exec unshare --mount --propagation private "$0" --mounts "$@"
arch="$2" folder="$3"
cd "$(dirname "$0")/../.."
export PATH="$PATH:/usr/sbin:/sbin"
# What root leaves there is the user's, who removes it.
give_back() { [ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID" "$folder"; }
trap give_back EXIT

scripts/prebuild/debian-root.sh "bare-$arch" "$arch"
root=".debian11/bare-$arch"
mount --bind "$folder" "$root/mnt"
mkdir -p "$root/mnt/npm"
mount --bind "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$root/mnt/npm"
mount -t proc proc "$root/proc"

# shellcheck disable=SC2016
chroot "$root" /usr/bin/env -i PATH=/mnt:/usr/bin:/bin HOME=/mnt /bin/sh -ec '
  for tool in cc gcc g++ clang make python3; do
    if command -v $tool; then echo "there is a compiler or a tool of one: $tool" >&2; exit 1; fi
  done
  cd /mnt/project
  node /mnt/npm/bin/npm-cli.js install --offline --no-audit --no-fund --silent --cache /mnt/cache /mnt/package.tgz >&2
  STORY_GUARD="$(cat guard.json)" exec node --expose-gc story.mjs
'
