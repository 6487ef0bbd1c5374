#!/bin/sh
# Installs the npm dependencies when they are missing or older than the lock file.
set -eu
cd "$(dirname "$0")/.."
if [ ! -f node_modules/.kinit-installed ] || [ package-lock.json -nt node_modules/.kinit-installed ]; then
  npm ci --no-fund --no-audit --loglevel=error
  touch node_modules/.kinit-installed
fi
