#!/usr/bin/env bash
# Makes a prebuild once more, its OpenSSL too, at another path and later, and fails where a byte of it is another.
#
#   sudo scripts/prebuild/reproducible.sh linux-x64
set -euo pipefail
cd "$(dirname "$0")/../.."
target="$1"
digests() { (cd "prebuilds/$target" && sha256sum -- *); }

[ -d "prebuilds/$target" ] || scripts/prebuild/debian11.sh "$target"
first="$(digests)"
rm -rf .debian11/build/another
MODEL_GUARD_PREBUILD_AT=/another/place scripts/prebuild/debian11.sh "$target"
second="$(digests)"
if [ "$first" != "$second" ]; then
  printf 'two builds of %s differ\n%s\n%s\n' "$target" "$first" "$second" >&2
  exit 1
fi
printf 'two builds of %s are the same to the byte\n%s\n' "$target" "$second"
