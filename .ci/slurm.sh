#!/usr/bin/env bash
# Install SLURM on Debian, as root. It stays switched off: the tests start a cluster of their own.
set -euo pipefail
packages=(munge slurm-client slurmctld slurmd)
if ! dpkg -s "${packages[@]}" &>/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq --no-install-recommends "${packages[@]}"
fi
