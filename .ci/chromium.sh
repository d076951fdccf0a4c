#!/usr/bin/env bash
# Install Chromium for the tests that open the pages in a browser; without it they are skipped, which .ci/run does not allow.
set -euo pipefail
command -v chromium >/dev/null && exit 0
(apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) >/dev/null 2>&1 ||
    echo "no Chromium here: the tests of the pages in a browser are skipped" >&2
