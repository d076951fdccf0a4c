#!/usr/bin/env bash
# Build the Dockerfile's image, as root on Debian, from Debian's packages and without a daemon; look at its labels; remove it.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v buildah >/dev/null || apt-get install -qq --no-install-recommends buildah
folder=$(mktemp -d)
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
storage=(--root "$folder/storage" --runroot "$folder/run")
trap 'buildah "${storage[@]}" rm --all >/dev/null; rm -rf "$folder"' EXIT

mmdebstrap --quiet --variant=minbase --include=python3-venv,ca-certificates bookworm "$folder/base.tar"
base=$(buildah "${storage[@]}" from scratch)
buildah "${storage[@]}" add --quiet "$base" "$folder/base.tar" / >/dev/null
buildah "${storage[@]}" commit --quiet "$base" localhost/base:bookworm >/dev/null
# Where this machine trusts authorities of its own, pip in the image needs them too, while it is built only.
authorities=${SSL_CERT_FILE:+--volume $SSL_CERT_FILE:/etc/ssl/certs/ca-certificates.crt:ro}
# What is installed goes to a folder beside the image, as packing its gigabytes takes longer than installing them: the
# image that is looked at afterwards has the labels and the PATH, and no packages. Nothing runs there but the imports that
# the build tries, which need little of the bytecode that pip would make.
mkdir "$folder/venv"
installed="--volume $folder/venv:/opt/simclr/venv"
DOCKER="buildah ${storage[*]}" BASE=localhost/base:bookworm \
    containers/build_docker.sh --env PIP_COMPILE=0 $installed ${authorities:-}
labels=$(buildah "${storage[@]}" images --format '{{.Name}}:{{.Tag}}' | grep simclr:)
buildah "${storage[@]}" inspect --type image --format '{{.OCIv1.Config.Labels}}' "$labels"
buildah "${storage[@]}" inspect --type image --format '{{.OCIv1.Config.Env}}' "$labels" | grep /opt/simclr/venv/bin
