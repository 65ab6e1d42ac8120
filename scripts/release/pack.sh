#!/usr/bin/env bash
# Makes what is published, in release/: the tarballs of both packages, the SBOM, the notice of third-party software and the digests of all.
# prebuilds/ has the binaries already (compare-builds.mjs): packing makes none.
set -euo pipefail
cd "$(dirname "$0")/../.."
for target in linux-x64 linux-arm64; do
  ls "prebuilds/$target/"*.node >/dev/null || { echo "prebuilds/$target/ has no addon" >&2; exit 1; }
done
rm -rf release
mkdir release
npm run --silent build:ts
npm run --silent build --workspace server
npm pack --ignore-scripts --silent --pack-destination release
npm pack --ignore-scripts --silent --pack-destination release --workspace server
node scripts/supply/sbom.mjs release/sbom.cdx.json
node scripts/supply/licences.mjs release/THIRD-PARTY.md
(cd release && sha256sum -- * | tee SHA256SUMS)
