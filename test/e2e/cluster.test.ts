/** A cluster on three real hosts, from nothing to nothing: the parts run in this order on the same hosts. */
import { afterAll, beforeAll, describe } from 'vitest';
import { loadTestImages } from '../parts/load-images.ts';
import { borrowed, down, hosts } from './harness.ts';
import { accessFromAfar } from './parts/access.ts';
import { addOns } from './parts/addons.ts';
import { backup } from './parts/backup.ts';
import { badInput } from './parts/bad-input.ts';
import { bringUp, resetAndAgain } from './parts/bring-up.ts';
import { kubeadmCommands } from './parts/commands.ts';
import { converge } from './parts/converge.ts';
import { failures } from './parts/failures.ts';
import { health } from './parts/health.ts';
import { kubectlCommands } from './parts/kubectl.ts';
import { nodes } from './parts/nodes.ts';
import { openPorts } from './parts/ports.ts';
import { rotation } from './parts/rotation.ts';
import { storage } from './parts/storage.ts';
import { upgrade } from './parts/upgrade.ts';
import { withoutRoot } from './parts/without-root.ts';
import { workloads } from './parts/workloads.ts';

describe.sequential('a cluster', () => {
  afterAll(async () => {
    if (!borrowed) await down();
  });
  if (borrowed) beforeAll(() => loadTestImages(hosts()));
  else bringUp();
  kubectlCommands();
  accessFromAfar();
  workloads();
  storage();
  addOns();
  failures();
  health();
  withoutRoot();
  openPorts();
  badInput();
  kubeadmCommands();
  nodes();
  converge();
  rotation();
  backup();
  if (!borrowed) {
    upgrade();
    resetAndAgain();
  }
});
