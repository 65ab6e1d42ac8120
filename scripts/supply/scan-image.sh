#!/usr/bin/env bash
# Builds the server's image and scans it for known vulnerabilities: image.sarif lists all of them. Fails on one that is rated high or
# critical and has a fix: a new build takes it in, or the base image in server/deploy/Dockerfile has to move.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Trivy 0.74.0.
TRIVY=aquasec/trivy@sha256:62b1e65e8869bc4b4c6aa4fa2b21595256c7c2f6018a9d9ad61caf87187c1969
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

docker build --pull --file server/deploy/Dockerfile --tag model-guard-server:scan .
# The scanner gets the image as a file: it has no way to the Docker daemon.
docker save --output "$work/image.tar" model-guard-server:scan
trivy() {
  docker run --rm --user "$(id -u):$(id -g)" --read-only --cap-drop ALL --security-opt no-new-privileges \
    --volume "$work:/work" --env TMPDIR=/work --env HOME=/work "$TRIVY" image --input /work/image.tar --cache-dir /work/cache --scanners vuln --quiet "$@"
}
trivy --format sarif --output /work/image.sarif
cp "$work/image.sarif" image.sarif
trivy --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1
