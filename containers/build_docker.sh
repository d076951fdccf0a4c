#!/usr/bin/env bash
# Build the same image for Docker, or with what DOCKER names: podman or buildah. BASE names another base; further options are
# the builder's own.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' simclr_steps/__init__.py)
lock=$(sha256sum requirements.lock | cut -c1-12)
${DOCKER:-docker} build --file containers/Dockerfile --tag "simclr:$version-$lock" \
    --build-arg "VERSION=$version" --build-arg "LOCK=$lock" ${BASE:+--build-arg "BASE=$BASE"} "$@" .
