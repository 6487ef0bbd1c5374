/** local-endpoint: the balancer of a node. It is there before the kubelet, whose way to the cluster it is. */
import { joinHostPort } from '../config/cidr.ts';
import { localEndpoint } from '../config/local-endpoint.ts';
import { kubernetesDir } from '../config/paths.ts';
import { ensureBalancer } from '../endpoint/balancer.ts';
import { certificateFile } from '../pki/ensure.ts';
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
