#!/bin/sh
# `npm run bench -- install|joins|ha|upgrade|etcd`: measures, prints figures beside their budgets, and keeps them in bench/results/.
set -eu
cd "$(dirname "$0")/.."
sh scripts/install.sh
name=${1:-}
if [ ! -f "bench/$name.ts" ] || [ -z "$name" ]; then
  echo 'usage: npm run bench -- install [--network 100..254] [--bundle FILE] [--idle SECONDS]' >&2
  echo '       npm run bench -- joins [--network 100..254] [--bundle FILE] [--counts 1,5,20]' >&2
  echo '       npm run bench -- ha      [--network 100..254] [--masters 3] [--workers 3] [--rounds 3]' >&2
  echo '       npm run bench -- upgrade [--network 100..254] [--bundle FILE] [--max-unavailable 1]' >&2
  echo '       npm run bench -- etcd    [--megabytes 1000] [--folder DIR]' >&2
  exit 2
fi
shift
exec node_modules/.bin/node "bench/$name.ts" "$@"
