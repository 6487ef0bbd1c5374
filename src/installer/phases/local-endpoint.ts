/** local-endpoint: the balancer of a node, there before the kubelet whose way to the cluster it is; virtual-ip: the address that control planes share. */
import { joinHostPort } from '../config/cidr.ts';
import { localEndpoint } from '../config/local-endpoint.ts';
import { kubernetesDir } from '../config/paths.ts';
import { ensureBalancer } from '../endpoint/balancer.ts';
import { ensureVirtualIp, virtualIpUnit } from '../endpoint/virtual-ip.ts';
import { KinitError } from '../errors.ts';
import { waitUntil } from '../host/wait.ts';
import { certificateFile } from '../pki/ensure.ts';
import { tryPort } from '../preflight/endpoint.ts';
import type { InitContext, JoinContext } from './context.ts';
import type { Phase } from './engine.ts';

const name = 'local-endpoint';
const title = "Start the node's own way to the API servers";

const serverOfUrl = (url: string) => url.replace(/^https:\/\//, '');

/** Of a control plane: its own API server comes first. */
export const initLocalEndpoint: Phase<InitContext> = {
  name,
  title,
  needed: ({ config }) => localEndpoint(config.host) !== undefined,
  run({ changes, config, node, facts, signal }) {
    const { advertiseAddress, bindPort } = config.localAPIEndpoint;
    const settings = {
      listen: localEndpoint(config.host)!,
      servers: [joinHostPort(advertiseAddress, bindPort)],
      nodeName: node.name,
      facts,
      certificateAuthority: certificateFile(config.cluster.certificatesDir, 'ca'),
    };
    return ensureBalancer(changes, settings, signal);
  },
};

/** Of a node that joins: it begins with the server that it joins, and a control plane with its own one, too. */
export const joinLocalEndpoint: Phase<JoinContext> = {
  name,
  title,
  needed: ({ nodeEndpoint }) => nodeEndpoint !== undefined,
  async run({ changes, cluster, config, controlPlane, nodeEndpoint, node, facts, signal }) {
    const own = controlPlane?.localAPIEndpoint;
    const servers = [...(own ? [joinHostPort(own.advertiseAddress, own.bindPort)] : []), serverOfUrl(cluster!.server)];
    await changes.folder(kubernetesDir);
    const wrote = controlPlane ? false : await changes.file(config.caCertPath, cluster!.caPem);
    const certificateAuthority = controlPlane
      ? certificateFile(controlPlane.cluster.certificatesDir, 'ca')
      : config.caCertPath;
    const settings = { listen: nodeEndpoint!, servers, nodeName: node.name, facts, certificateAuthority };
    return (await ensureBalancer(changes, settings, signal)) || wrote;
  },
};

/** Of every control plane. Whoever makes the first one has to wait: what follows uses the address. */
export const virtualIp: Phase<InitContext> = {
  name: 'virtual-ip',
  title: 'Share the virtual address',
  needed: ({ config }) => config.host.endpoint?.virtualIP !== undefined,
  async run({ changes, config, node, facts, host, signal }) {
    const { virtualIP: address = '', interface: device } = config.host.endpoint ?? {};
    const { advertiseAddress, bindPort } = config.localAPIEndpoint;
    const changed = await ensureVirtualIp(changes, {
      address,
      ...(device ? { interface: device } : {}),
      server: joinHostPort(advertiseAddress, bindPort),
      nodeName: node.name,
      facts,
    });
    if (host.dryRun) return changed;
    await waitUntil(async () => (await tryPort(address, bindPort, 1_000)).answer === 'open', {
      timeoutMs: 60_000,
      signal,
      failure: () =>
        new KinitError('Timeout', `no control plane answers at ${joinHostPort(address, bindPort)} after 60 s`, {
          advice: `look at: journalctl -u ${virtualIpUnit} -n 50; kubectl -n kube-system get lease kinit-virtual-ip`,
        }),
    });
    return changed;
  },
};
