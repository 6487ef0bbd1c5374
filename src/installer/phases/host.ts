/** Host preparation: one phase per thing that is set. */

import { controlPlanePorts, openPorts, workerPorts } from '../host/firewall.ts';
import { ensureNameResolves } from '../host/hosts-file.ts';
import { loadModules } from '../host/modules.ts';
import { makeSelinuxPermissive } from '../host/selinux.ts';
import { turnSwapOff } from '../host/swap.ts';
import { applySettings } from '../host/sysctl.ts';
import type { NodeContext } from './context.ts';
import type { Phase } from './engine.ts';

export const hostPhases: Phase<NodeContext>[] = [
  {
    name: 'host/swap',
    title: 'Turn swap off',
    needed: ({ hostSettings }) => hostSettings.swap === 'off',
    run: ({ changes }) => turnSwapOff(changes),
  },
  {
    name: 'host/selinux',
    title: 'Make SELinux permissive',
    needed: ({ hostSettings }) => hostSettings.selinux === 'permissive',
    run: ({ changes }) => makeSelinuxPermissive(changes),
  },
  {
    name: 'host/modules',
    title: 'Load kernel modules',
    run: ({ changes }) => loadModules(changes),
  },
  {
    name: 'host/sysctl',
    title: 'Set kernel parameters',
    run: ({ changes, hostSettings, prune = false, leftover }) =>
      applySettings(changes, { given: hostSettings.sysctl, prune, ...(leftover ? { leftover } : {}) }),
  },
  {
    name: 'host/firewall',
    title: 'Open ports in the firewall',
    background: true,
    needed: ({ hostSettings }) => hostSettings.firewall === 'open',
    run: ({ changes, controlPlanePort, podCidr }) =>
      openPorts(changes, controlPlanePort ? controlPlanePorts(controlPlanePort) : workerPorts, podCidr),
  },
  {
    name: 'host/hostname',
    title: 'Make the name of the node resolve',
    run: ({ changes, node, nodeAddress }) => ensureNameResolves(changes, node.name, nodeAddress()),
  },
];
