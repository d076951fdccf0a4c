#!/usr/bin/env bash
# Put axe.min.js of axe-core, which looks for what keeps readers out of a page, into a folder; fail without npm.
set -euo pipefail
cd "$1"
npm pack --silent axe-core@4.14.1 >/dev/null
tar -xzf axe-core-4.14.1.tgz --strip-components=1 package/axe.min.js
rm axe-core-4.14.1.tgz
sha256sum --check --quiet <<<"29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c  axe.min.js" ||
    { rm axe.min.js && exit 1; }
