#!/bin/sh
# `npm test`: installs what the tests need, builds, runs every suite, and ends with the counts of the runners' reports.
# `npm test -- unit` (or integration, e2e) runs only the suites named.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"
sh scripts/install.sh
node scripts/prepare-machine.ts tests
npm run --silent build
npm run --silent bundle
node test/lab/cli.ts roots --vm
node test/images/build.ts
# Whatever the tests leave in the folder for temporary files goes with them.
TMPDIR=$(mktemp -d /tmp/kinit-test.XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM
rm -rf .cache/test-results
mkdir -p .cache/test-results
for suite in ${*:-unit integration e2e}; do
  # The long suites tell how far they are.
  reporter=verbose
  [ "$suite" = unit ] && reporter=default
  vitest run --project "$suite" --reporter="$reporter" --reporter=json --outputFile.json=".cache/test-results/$suite.json" || true
done
node scripts/test-summary.ts .cache/test-results ${*:-unit integration e2e}
