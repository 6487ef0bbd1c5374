/** Draining a node while API servers come and go. */
import { expect, it } from 'vitest';
import { isPassingFailure } from '../../../src/installer/fleet/drain.ts';

it.each([
  ['error when waiting for pod "a" to terminate: etcdserver: 4 DEADLINE_EXCEEDED: Deadline exceeded', true],
  ['The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?', true],
  ['dial tcp 10.0.0.1:6443: connect: connection refused', true],
  ['read tcp 10.0.0.2:3->10.0.0.1:6443: read: connection reset by peer', true],
  ['Error from server (ServiceUnavailable): not yet', true],
  ["Cannot evict pod as it would violate the pod's disruption budget.", false],
  ['cannot delete Pods with local storage (use --delete-emptydir-data to override): a/b', false],
  ['global timeout reached: 5m0s', false],
])('a drain that ends with "%s" is tried again: %s', (text, expected) => {
  expect(isPassingFailure(text)).toBe(expected);
});
