#!/usr/bin/env bash
# Publishes the tarballs of release/ after a look at their digests: the SDK first, since the server depends on it. A version that is there
# already stays, so that a run which broke off can be repeated.
set -euo pipefail
cd "$(dirname "$0")/../../release"
sha256sum --check --strict SHA256SUMS
for name in @org/model-guard @org/model-guard-server; do
  version="$(node -p 'require("../package.json").version')"
  file="$(echo "$name" | tr -d @ | tr / -)-$version.tgz"
  if [ "$(npm view "$name@$version" version 2>/dev/null)" = "$version" ]; then
    echo "$name@$version is published already"
  else
    npm publish "./$file" --provenance --ignore-scripts
  fi
done
