/** Adds up the JSON reports of the test runs and prints `N passed, N failed[, N skipped]`; a suite without a report counts as failed. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: {
    name: string;
    status: string;
    message?: string;
    assertionResults: { status: string; fullName: string; failureMessages?: string[] }[];
  }[];
}

/** The beginning of what was wrong, below the name of the test: the rest is further up, where the runner tells it. */
function why(messages: readonly string[] = []): string {
  const lines = stripVTControlCharacters(messages.join('\n'))
    .split('\n')
    .filter((line) => !/^ {4}at .*node_modules/.test(line));
  return lines
    .slice(0, 25)
    .map((line) => `  ${line.slice(0, 400)}\n`)
    .join('');
}

const [folder, ...suites] = process.argv.slice(2) as [string, ...string[]];
let passed = 0;
let failed = 0;
let skipped = 0;
for (const suite of suites) {
  const path = join(folder, `${suite}.json`);
  if (!existsSync(path)) {
    failed++;
    process.stdout.write(`${suite}: no report; the run itself broke down\n`);
    continue;
  }
  const report = JSON.parse(readFileSync(path, 'utf8')) as Report;
  const failedBefore = failed;
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
  if (report.testResults.length === 0) {
    failed++;
    process.stdout.write(`${suite}: no test file ran\n`);
  }
  for (const file of report.testResults) {
    // A file that could not be loaded has no tests that failed, but is a failure all the same.
    if (file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')) {
      failed++;
      process.stdout.write(`failed: ${file.name}: ${file.message ?? ''}\n`);
    }
    for (const test of file.assertionResults) {
      if (test.status === 'failed')
        process.stdout.write(`failed: ${suite}: ${test.fullName}\n${why(test.failureMessages)}`);
    }
  }
  // Errors outside of tests are in no report, but the runner ends with them.
  const code = readFileSync(join(folder, `${suite}.code`), 'utf8').trim();
  if (code !== '0' && failed === failedBefore) {
    failed++;
    process.stdout.write(`failed: ${suite}: the runner ended with ${code}; it says above why\n`);
  }
}
process.stdout.write(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`);
process.exit(failed || !passed ? 1 : 0);
