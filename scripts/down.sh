#!/bin/sh
# `npm run down`: removes the cluster's hosts, their network, and every other trace of them.
set -eu
cd "$(dirname "$0")/.."
sh scripts/install.sh
exec node_modules/.bin/node scripts/down.ts "$@"
