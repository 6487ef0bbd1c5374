/** local-endpoint: the balancer of a node. It is there before the kubelet, whose way to the cluster it is. */
import { joinHostPort } from '../config/cidr.ts';
import { localEndpoint, withLocalEndpoint } from '../config/local-endpoint.ts';
import { kubernetesDir } from '../config/paths.ts';
import type { InitConfiguration } from '../config/types.ts';
import { ensureBalancer, knownBalancer } from '../endpoint/balancer.ts';
import { KinitError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { certificateFile } from '../pki/ensure.ts';
import type { InitContext, JoinContext } from './context.ts';
import type { Phase } from './engine.ts';

const name = 'local-endpoint';
const title = "Start the node's own way to the API servers";

const serverOfUrl = (url: string) => url.replace(/^https:\/\//, '');

/** How nodes reach the API servers is decided when a cluster is made; a host that has it keeps it. */
export async function withKnownEndpoint(host: Host, config: InitConfiguration): Promise<InitConfiguration> {
  const known = await knownBalancer(host);
  if (!known) return config;
  const { endpoint: given } = config.host;
  if (given && (given.mode !== 'local' || given.port !== known.endpoint.port)) {
    const wanted = given.mode === 'local' ? `port ${given.port}` : `mode ${given.mode}`;
    throw new KinitError(
      'Validation',
      `endpoint: ${wanted} is asked for, but this cluster was made with local endpoints on port ${known.endpoint.port}`,
      { advice: `give endpoint: {mode: local, port: ${known.endpoint.port}}, or leave it out` },
    );
  }
  return withLocalEndpoint({ ...config, host: { ...config.host, endpoint: known.endpoint } });
}

/** Of a control plane: its own API server comes first. */
export const initLocalEndpoint: Phase<InitContext> = {
  name,
  title,
  needed: ({ config }) => localEndpoint(config.host) !== undefined,
  run({ changes, config, node, signal }) {
    const { advertiseAddress, bindPort } = config.localAPIEndpoint;
    const settings = {
      listen: localEndpoint(config.host)!,
      servers: [joinHostPort(advertiseAddress, bindPort)],
      nodeName: node.name,
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
  async run({ changes, cluster, config, controlPlane, nodeEndpoint, node, signal }) {
    const own = controlPlane?.localAPIEndpoint;
    const servers = [...(own ? [joinHostPort(own.advertiseAddress, own.bindPort)] : []), serverOfUrl(cluster!.server)];
    await changes.folder(kubernetesDir);
    const wrote = controlPlane ? false : await changes.file(config.caCertPath, cluster!.caPem);
    const certificateAuthority = controlPlane
      ? certificateFile(controlPlane.cluster.certificatesDir, 'ca')
      : config.caCertPath;
    const settings = { listen: nodeEndpoint!, servers, nodeName: node.name, certificateAuthority };
    return (await ensureBalancer(changes, settings, signal)) || wrote;
  },
};
