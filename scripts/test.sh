#!/bin/sh
# `npm test`: installs what the tests need, builds, runs every suite, and ends with the counts of the runners' reports.
# `npm test -- unit` (or vm, integration, e2e) runs only the suites named.
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
machine=
leave() {
  # Interrupted: vitest ends the machine that it has started.
  if [ -n "$machine" ]; then
    kill "$machine" 2>/dev/null || true
    wait "$machine" || true
  fi
  rm -rf "$TMPDIR"
}
trap 'leave' EXIT
trap 'exit 130' INT TERM
rm -rf .cache/test-results
mkdir -p .cache/test-results
suites=${*:-vm unit integration e2e}

run() {
  # The long suites tell how far they are.
  reporter=verbose
  [ "$1" = unit ] && reporter=default
  exec vitest run --project "$1" --reporter="$reporter" --reporter=json --outputFile.json=".cache/test-results/$1.json"
}

# The summary wants to know how a runner ended, too: errors outside of tests are in no report.
ended() {
  echo "$2" >".cache/test-results/$1.code"
}

# What the virtual machine's run has said comes when it is done.
machine_done() {
  code=0
  wait "$machine" || code=$?
  ended vm "$code"
  machine=
  cat .cache/test-results/vm.log
}

for suite in $suites; do
  # The virtual machine's processor is emulated by one core: unit and integration tests run beside it.
  if [ "$suite" = vm ] && [ "$suites" != vm ]; then
    run vm >.cache/test-results/vm.log 2>&1 &
    machine=$!
    continue
  fi
  if [ "$suite" = e2e ] && [ -n "$machine" ]; then machine_done; fi
  code=0
  (run "$suite") || code=$?
  ended "$suite" "$code"
done
if [ -n "$machine" ]; then machine_done; fi
node scripts/test-summary.ts .cache/test-results $suites
