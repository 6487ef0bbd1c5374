/** All preflight checks. */
import { bundle } from './bundle.ts';
import type { Check } from './check.ts';
import { numCpu } from './cpu.ts';
import { diskSpace } from './disk.ts';
import { otherDistributions } from './distributions.ts';
import { controlPlaneEndpoint, virtualIp } from './endpoint.ts';
import { etcdDisk } from './etcd-disk.ts';
import { executables } from './executables.ts';
import { externalEtcd } from './external-etcd.ts';
import { etcdFolder, filesAvailable } from './files.ts';
import { firewall } from './firewall.ts';
import { forwarding } from './forwarding.ts';
import { hostname } from './hostname.ts';
import { imagePull } from './images.ts';
import { kubeletService } from './kubelet.ts';
import { leftovers } from './leftovers.ts';
import { memory } from './memory.ts';
import { mtu } from './mtu.ts';
import { balancerPort, etcdPorts, ports } from './ports.ts';
import { isPrivilegedUser } from './privileged-user.ts';
import { httpProxy, httpProxyCidr } from './proxy.ts';
import { role } from './role.ts';
import { containerRuntime } from './runtime.ts';
import { swap } from './swap.ts';
import { systemVerification } from './system.ts';
import { timeSync } from './time.ts';
import { versions } from './versions.ts';

/** Before all others: who is not root sees little. */
export const rootCheck: readonly Check[] = [isPrivilegedUser];

/** In the order in which their findings are told. */
export const allChecks: readonly Check[] = [
  role,
  numCpu,
  memory,
  systemVerification,
  executables,
  hostname,
  controlPlaneEndpoint,
  virtualIp,
  ports,
  balancerPort,
  etcdPorts,
  firewall,
  filesAvailable,
  containerRuntime,
  kubeletService,
  otherDistributions,
  leftovers,
  bundle,
  versions,
  imagePull,
  swap,
  forwarding,
  mtu,
  httpProxy,
  httpProxyCidr,
  timeSync,
  diskSpace,
  etcdDisk,
  externalEtcd,
];

/** What a joining control plane knows only when it has read the configuration of its cluster. */
export const clusterChecks: readonly Check[] = [etcdPorts, etcdFolder, httpProxyCidr, etcdDisk, externalEtcd];
