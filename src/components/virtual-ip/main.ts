/** kinit-virtual-ip: an address that one of the control planes has at a time. A unit of systemd on each of them. */
import { existsSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { hostname } from 'node:os';
import { loadKubeconfig } from '../../machinery/client/kubeconfig.ts';
import { list, path } from '../../machinery/flags/kinds.ts';
import { createLogger } from '../../machinery/logging/logger.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { letGo } from './address.ts';
import { holdAddress } from './holder.ts';

await runComponent({
  name: 'kinit-virtual-ip',
  about: 'Holds an address as long as this control plane holds the Lease kube-system/kinit-virtual-ip.',
  flags: {
    address: path('The IPv4 address.'),
    interface: path('Interface that gets it; without it the one whose network it is of.'),
    kubeconfig: list('Kubeconfigs; the first that is there is used.'),
    server: path('API server of this host, <address>:<port>.'),
    'node-name': path('Name under which the Lease is held; without it the name of the host.'),
    release: { kind: 'boolean', help: 'Removes the address from this host, and does nothing else.' },
    v: { kind: 'integer', default: '0', help: 'Log verbosity.' },
  },
  async run(flags, signal) {
    const { address, server, kubeconfig } = flags;
    if (!address || !isIPv4(address)) throw new Error(`--address is "${address ?? ''}"; it takes an IPv4 address`);
    if (flags.release) {
      await letGo(address);
      return;
    }
    if (!server || kubeconfig.length === 0) throw new Error('--server and --kubeconfig are needed');
    await holdAddress(
      {
        address,
        ...(flags.interface ? { device: flags.interface } : {}),
        nodeName: flags['node-name'] ?? hostname(),
        access: async () => {
          const found = kubeconfig.find((file) => existsSync(file));
          if (!found) throw new Error(`there is no ${kubeconfig.join(' and no ')}`);
          // A name that stands in the certificate of every API server.
          return { ...(await loadKubeconfig(found)), server: `https://${server}`, tlsServerName: 'kubernetes' };
        },
        log: createLogger('kinit-virtual-ip', flags.v),
      },
      signal,
    );
  },
});
