#!/usr/bin/env bash
# Build the image that the steps run in, containers/simclr-VERSION-LOCK.sif, and let containers/simclr.sif lead to it.
#
#   containers/build.sh                              from the official Python image
#   BASE=docker.io/library/python@sha256:… containers/build.sh
#   BASE=FOLDER containers/build.sh                  from the root folder of a Linux with python3-venv
#   BASE=debian containers/build.sh                  from Debian's packages, without a registry; needs mmdebstrap
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' simclr_steps/__init__.py)
lock=$(sha256sum requirements.lock | cut -c1-12)
image=containers/simclr-$version-$lock.sif
build=$(mktemp -d)
trap 'rm -rf "$build" "$image.partial"' EXIT

arguments=(--build-arg "VERSION=$version" --build-arg "LOCK=$lock")
if [[ ${BASE:-} == debian ]]; then
    mmdebstrap --quiet --variant=minbase --include=python3-venv,ca-certificates bookworm "$build/root"
    BASE=$build/root
fi
if [[ -d ${BASE:-} ]]; then
    arguments+=(--build-arg BOOTSTRAP=localimage)
fi
if [[ -n ${BASE:-} ]]; then
    arguments+=(--build-arg "BASE=$BASE")
fi
# Where this machine trusts authorities of its own, pip in the image needs them too, while it is built only.
if [[ -n ${SSL_CERT_FILE:-} ]]; then
    export APPTAINERENV_PIP_CERT=/tmp/authorities.crt
    arguments+=(--bind "$SSL_CERT_FILE:$APPTAINERENV_PIP_CERT:ro")
fi

if [[ -e $image ]]; then
    echo "$image is there already: remove it to build it anew"
else
    apptainer build --mksquashfs-args="-comp zstd -Xcompression-level 3" "${arguments[@]}" \
        "$image.partial" containers/simclr.def
    sha256sum "$image.partial" | cut -d ' ' -f 1 >"$image.sha256"
    mv "$image.partial" "$image"
fi
ln -sfn "$(basename "$image")" containers/simclr.sif
echo "containers/simclr.sif is $image"
