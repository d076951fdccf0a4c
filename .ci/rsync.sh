#!/usr/bin/env bash
# Install rsync on Debian, as root: the storage that the tests run the workflow in copies with it.
set -euo pipefail
command -v rsync >/dev/null && exit 0
apt-get update -qq
apt-get install -qq --no-install-recommends rsync
