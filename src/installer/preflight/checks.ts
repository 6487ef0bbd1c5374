/** All preflight checks. */
import { bundle } from './bundle.ts';
import type { Check } from './check.ts';
import { numCpu } from './cpu.ts';
import { diskSpace } from './disk.ts';
import { filesAvailable } from './files.ts';
import { hostname } from './hostname.ts';
import { memory } from './memory.ts';
import { ports } from './ports.ts';
import { isPrivilegedUser } from './privileged-user.ts';
import { role } from './role.ts';
import { containerRuntime } from './runtime.ts';
import { swap } from './swap.ts';
import { systemVerification } from './system.ts';
import { timeSync } from './time.ts';

export const allChecks: readonly Check[] = [
  isPrivilegedUser,
  role,
  numCpu,
  memory,
  systemVerification,
  hostname,
  ports,
  filesAvailable,
  containerRuntime,
  bundle,
  swap,
  timeSync,
  diskSpace,
];
