#!/bin/sh
# Installs the npm dependencies when they are missing or not those of the lock file.
set -eu
cd "$(dirname "$0")/.."
wanted=$(sha256sum package-lock.json)
if [ "$(cat node_modules/.kinit-installed 2>/dev/null)" != "$wanted" ]; then
  npm ci --no-fund --no-audit --loglevel=error
  echo "$wanted" > node_modules/.kinit-installed
fi
