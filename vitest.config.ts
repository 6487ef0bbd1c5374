import { defineConfig } from 'vitest/config';

/** What differs is told in the message, which is all that a report keeps of it. */
const chaiConfig = { truncateThreshold: 2000 };
const virtualMachine = 'test/integration/lab/vm.test.ts';

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', chaiConfig, include: ['test/unit/**/*.test.ts'], testTimeout: 10_000 } },
      {
        test: {
          name: 'integration',
          chaiConfig,
          include: ['test/integration/**/*.test.ts'],
          exclude: [virtualMachine],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
      // Its processor is emulated: it waits for one core for minutes, beside which the other suites run.
      {
        test: { name: 'vm', chaiConfig, include: [virtualMachine], testTimeout: 600_000, hookTimeout: 900_000 },
      },
      {
        test: {
          name: 'e2e',
          chaiConfig,
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 900_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
