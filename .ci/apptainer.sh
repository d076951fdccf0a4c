#!/usr/bin/env bash
# Install Apptainer on a Debian that has none, as root: the programs of Debian's next release with the libraries that they
# need, in a folder of their own, so that the system's libraries, package sources and database stay as they are.
set -euo pipefail
PREFIX=/opt/apptainer

main() {
    command -v apptainer >/dev/null && return
    apt-get -qq update
    apt-get -qq install --no-install-recommends squashfs-tools mmdebstrap patchelf libcap2-bin
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    fetch
    unpack
    limit_capabilities
    share_images
    apptainer --version
}

# Download Apptainer and its libraries from the mirror that this machine uses, with package lists of their own.
fetch() {
    mkdir -p "$work"/{sources,lists/partial,cache/archives/partial,packages}
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' | grep -v security | head -n 1)
    printf '%s\n' 'Types: deb' "URIs: $mirror" 'Suites: sid' 'Components: main' \
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >"$work/sources/sid.sources"
    local apart=(-qq -oAPT::Sandbox::User=root -oDir::Etc::SourceList=/dev/null -oDir::Etc::SourceParts="$work/sources"
        -oDir::State::Lists="$work/lists" -oDir::Cache="$work/cache" -oDir::State::status=/dev/null)
    apt-get "${apart[@]}" update
    mapfile -t libraries < <(apt-cache "${apart[@]}" depends --important apptainer |
        sed -n 's/^ *\(Pre\)\?Depends: \(lib[^ ]*\)$/\2/p')
    (cd "$work/packages" && apt-get "${apart[@]}" download apptainer "${libraries[@]}")
}

# Lay out the programs, and let the two that are binaries look for libraries beside them alone.
unpack() {
    dpkg-deb -x "$work"/packages/apptainer_*.deb "$work/programs"
    local library
    for library in "${libraries[@]}"; do
        dpkg-deb -x "$work"/packages/"$library"_*.deb "$work/libraries"
    done
    rm -rf "$PREFIX"
    mkdir -p "$PREFIX/libraries"
    cp -a "$work"/programs/{usr/bin,usr/lib,etc,var} "$PREFIX"
    # Debian keeps the second program a folder deeper than it looks for its files.
    ln -s ../bin ../etc ../var "$PREFIX/lib/"
    ln -s . "$PREFIX/lib/lib"
    find "$work"/libraries/usr/lib/x86_64-linux-gnu -maxdepth 1 -name '*.so*' -exec cp -P -t "$PREFIX/libraries" {} +
    local program
    for program in "$PREFIX/bin/apptainer" "$PREFIX"/lib/*/apptainer/bin/starter; do
        # An RPATH, unlike a RUNPATH, holds for the libraries' own libraries, too.
        patchelf --set-interpreter "$PREFIX/libraries/ld-linux-x86-64.so.2" \
            --force-rpath --set-rpath "$PREFIX/libraries" "$program"
    done
}

# As root Apptainer asks for all capabilities, and fails where root lacks one, as in a sandbox: there, ask for what there is.
limit_capabilities() {
    local has all lacks
    has=$((16#$(sed -n 's/^CapPrm:\s*//p' /proc/self/status)))
    all=$(((1 << ($(cat /proc/sys/kernel/cap_last_cap) + 1)) - 1))
    lacks=$((all & ~has))
    if ((lacks == 0)); then
        ln -s "$PREFIX/bin/apptainer" /usr/local/bin/apptainer
        return
    fi
    sed -i 's/^root default capabilities = .*/root default capabilities = file/' "$PREFIX/etc/apptainer/apptainer.conf"
    "$PREFIX/bin/apptainer" capability add --user root "$(names "$has")"
    printf '%s\n' '#!/bin/sh' "export APPTAINER_DROP_CAPS=\"\${APPTAINER_DROP_CAPS-$(names "$lacks")}\"" \
        "exec $PREFIX/bin/apptainer \"\$@\"" >/usr/local/bin/apptainer
    chmod 755 /usr/local/bin/apptainer
}

# Have containers of one image read it through one device, so that what one has decompressed the others find in memory, as
# long as any of them is open.
share_images() {
    sed -i 's/^shared loop devices = .*/shared loop devices = yes/' "$PREFIX/etc/apptainer/apptainer.conf"
}

# Name the capabilities of a mask, joined by commas.
names() {
    capsh --decode="$(printf '%x' "$1")" | cut -d = -f 2 | tr '[:lower:]' '[:upper:]'
}

main
