#!/usr/bin/env bash
# Makes a prebuild twice, its OpenSSL too, at two paths, and fails where a byte of the second is another.
#
#   sudo env "PATH=$PATH" scripts/prebuild/reproducible.sh linux-x64
set -euo pipefail
cd "$(dirname "$0")/../.."
target="$1"

digests() {
  rm -rf --one-file-system ".debian11/build/model-guard/$1"
  MODEL_GUARD_PREBUILD_PLACE="$1" scripts/prebuild/debian11.sh "$target" >&2
  (cd "prebuilds/$target" && sha256sum -- *)
}
first="$(digests here)"
second="$(digests elsewhere)"
if [ "$first" != "$second" ]; then
  printf 'two builds of %s differ\n%s\n%s\n' "$target" "$first" "$second" >&2
  exit 1
fi
printf 'two builds of %s are the same to the byte\n%s\n' "$target" "$second"
