#!/usr/bin/env bash
# Makes a prebuild twice, its OpenSSL too, at two paths, and fails where a byte of the second is another.
#
#   sudo env "PATH=$PATH" scripts/prebuild/reproducible.sh linux-x64
set -euo pipefail
cd "$(dirname "$0")/../.."
target="$1"
builds="$(mktemp -d)"
trap 'rm -rf "$builds"' EXIT

number=0
for place in here elsewhere; do
  rm -rf --one-file-system ".debian11/build/model-guard/$place"
  MODEL_GUARD_PREBUILD_PLACE="$place" scripts/prebuild/debian11.sh "$target"
  number=$((number + 1))
  cp -r "prebuilds/$target" "$builds/$target-$number"
done
node scripts/release/compare-builds.mjs "$builds"
