#!/usr/bin/env bash
# Publishes the tarballs of release/ after a look at their digests: the SDK first, since the server depends on it. A version that is there
# already stays, so that a run which broke off can be repeated.
set -euo pipefail
cd "$(dirname "$0")/../../release"
sha256sum --check --strict SHA256SUMS
# npm compares it with the repository of the workflow, and takes no provenance without it.
node -e 'process.exit(require("../package.json").repository ? 0 : 1)' ||
  { echo 'package.json has no "repository": name the public one first (CONTRIBUTING.md, "Releases")' >&2; exit 1; }
for name in @org/model-guard @org/model-guard-server; do
  version="$(node -p 'require("../package.json").version')"
  file="$(echo "$name" | tr -d @ | tr / -)-$version.tgz"
  if [ "$(npm view "$name@$version" version 2>/dev/null)" = "$version" ]; then
    echo "$name@$version is published already"
  else
    npm publish "./$file" --provenance --ignore-scripts
  fi
done
