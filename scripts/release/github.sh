#!/usr/bin/env bash
# Makes the release's page: the changelog's section, and the files of release/. TAG names the tag; gh reads GH_TOKEN.
set -euo pipefail
cd "$(dirname "$0")/../.."
notes="$(mktemp)"
trap 'rm -f "$notes"' EXIT
node scripts/release/check-tag.mjs "$TAG" "$notes"
(cd release && sha256sum --check --strict SHA256SUMS)
# A first try may have broken off after it made the page.
gh release view "$TAG" >/dev/null 2>&1 || gh release create "$TAG" --verify-tag --title "$TAG" --notes-file "$notes"
gh release upload "$TAG" --clobber release/*
