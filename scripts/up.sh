#!/bin/sh
# `npm run up`: a cluster of three lab hosts from a fresh clone. `npm run up -- --help` tells more.
set -eu
cd "$(dirname "$0")/.."
sh scripts/install.sh
exec node_modules/.bin/node scripts/up.ts "$@"
