#!/usr/bin/env bash
# The linters that run without a container engine, over server/deploy. What they cannot see, server/test/deploy.test.ts does.
set -euo pipefail
cd "$(dirname "$0")/../server/deploy"
yamllint --strict -d '{extends: default, rules: {document-start: disable, line-length: {max: 140}}}' .
docker-compose -f compose.yaml config --quiet
bash -n ../../.ci/run
echo "ok: yamllint, docker-compose config"
