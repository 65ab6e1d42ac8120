#!/usr/bin/env bash
# Checks the parts of a release besides its code: the list of components, their licences, no credentials in the repository, the workflows.
set -euo pipefail
cd "$(dirname "$0")/../.."
npm run --silent sbom
npm run --silent licences
npm run --silent secrets
npm run --silent workflows
rules='document-start: disable, truthy: {check-keys: false}, line-length: {max: 140}, comments: {min-spaces-from-content: 1}'
yamllint --strict -d "{extends: default, rules: {$rules}}" .github
node scripts/release/version.mjs --check
