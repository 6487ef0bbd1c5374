/** A cluster on three real hosts, from nothing to nothing: the parts run in this order on the same hosts. */
import { afterAll, describe } from 'vitest';
import { down } from './harness.ts';
import { bringUp, resetAndAgain } from './parts/bring-up.ts';
import { failures } from './parts/failures.ts';
import { kubectlCommands } from './parts/kubectl.ts';
import { workloads } from './parts/workloads.ts';

describe.sequential('a cluster', () => {
  afterAll(async () => {
    await down();
  });
  bringUp();
  kubectlCommands();
  workloads();
  failures();
  resetAndAgain();
});
