#!/usr/bin/env bash
# Build the image that the steps run in, containers/simclr-VERSION-HASH.sif, and let containers/simclr.sif lead to it. The
# hash is that of the lock file, the definition and the base, so that another image has another name.
#
#   containers/build.sh                              from the official Python image
#   BASE=docker.io/library/python@sha256:… containers/build.sh
#   BASE=FOLDER containers/build.sh                  from the root folder of a Linux with python3-venv
#   BASE=debian containers/build.sh                  from Debian's packages, without a registry; needs mmdebstrap
set -euo pipefail
cd "$(dirname "$0")/.."

base=${BASE:-$(sed -n 's/^    BASE=//p' containers/simclr.def)}
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' simclr_steps/__init__.py)
lock=$(sha256sum requirements.lock | cut -c1-12)
hash=$(cat requirements.lock containers/simclr.def - <<<"$base" | sha256sum | cut -c1-12)
image=containers/simclr-$version-$hash.sif
if [[ -e $image ]]; then
    echo "$image already exists: remove it to rebuild it"
    ln -sfn "$(basename "$image")" containers/simclr.sif
    exit
fi
build=$(mktemp -d)
trap 'rm -rf "$build" "$image.partial"' EXIT

from=$base
if [[ $base == debian ]]; then
    mmdebstrap --quiet --variant=minbase --include=python3-venv,ca-certificates bookworm "$build/root"
    from=$build/root
fi
arguments=(--build-arg "VERSION=$version" --build-arg "LOCK=$lock" --build-arg "BASE=$from" --build-arg "NAMED=$base")
if [[ -d $from ]]; then
    arguments+=(--build-arg BOOTSTRAP=localimage)
fi
# Where this machine trusts authorities of its own, pip in the image needs them too, while it is built only.
if [[ -n ${SSL_CERT_FILE:-} ]]; then
    export APPTAINERENV_PIP_CERT=/tmp/authorities.crt
    arguments+=(--bind "$SSL_CERT_FILE:$APPTAINERENV_PIP_CERT:ro")
fi
apptainer build --mksquashfs-args="-comp zstd -Xcompression-level 3" "${arguments[@]}" "$image.partial" containers/simclr.def
sha256sum "$image.partial" | cut -d ' ' -f 1 >"$image.sha256"
mv "$image.partial" "$image"
ln -sfn "$(basename "$image")" containers/simclr.sif
echo "containers/simclr.sif is $image"
