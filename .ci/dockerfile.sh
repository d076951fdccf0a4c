#!/usr/bin/env bash
# Build the Dockerfile's image, as root on Debian and without a daemon; look at its labels; remove it. What lies in the image
# for Apptainer that SIMCLR_TEST_IMAGE names, made of the same lock file, is taken over, so that little is installed twice.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SIMCLR_TEST_IMAGE:?must name the image that containers/build.sh made}"
command -v buildah >/dev/null || apt-get install -qq --no-install-recommends buildah
folder=$(mktemp -d)
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
storage=(--root "$folder/storage" --runroot "$folder/run")
trap 'buildah "${storage[@]}" rm --all >/dev/null; rm -rf "$folder"' EXIT

# Its Debian is the base, and its packages are there before pip is asked for them, all but one: this pip has to install. They
# are in a folder beside the image, as packing gigabytes takes longer than installing them.
apptainer exec --no-mount home,cwd,tmp --pwd / --bind "$folder" "$SIMCLR_TEST_IMAGE" bash -c \
    'tar --create --one-file-system --exclude ./opt/simclr --file "$0/base.tar" . && cp -a /opt/simclr/venv "$0"' "$folder"
rm -r "$folder"/venv/lib/python3*/site-packages/{umap,umap_learn-*}
base=$(buildah "${storage[@]}" from scratch)
buildah "${storage[@]}" add --quiet "$base" "$folder/base.tar" / >/dev/null
buildah "${storage[@]}" commit --quiet "$base" localhost/base:bookworm >/dev/null
# Where this machine trusts authorities of its own, pip in the image needs them too, while it is built only.
authorities=${SSL_CERT_FILE:+--volume $SSL_CERT_FILE:/etc/ssl/certs/ca-certificates.crt:ro}
DOCKER="buildah ${storage[*]}" BASE=localhost/base:bookworm \
    containers/build_docker.sh --volume "$folder/venv:/opt/simclr/venv" ${authorities:-}
labels=$(buildah "${storage[@]}" images --format '{{.Name}}:{{.Tag}}' | grep simclr:)
buildah "${storage[@]}" inspect --type image --format '{{.OCIv1.Config.Labels}}' "$labels"
buildah "${storage[@]}" inspect --type image --format '{{.OCIv1.Config.Env}}' "$labels" | grep /opt/simclr/venv/bin
