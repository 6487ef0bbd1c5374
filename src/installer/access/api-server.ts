/** Where a control plane's API server is, and how its administrator reaches it: read over the connection to the host. */
import { splitHostPort } from '../config/cidr.ts';
import { defaultBindPort } from '../config/defaults.ts';
import { kubeconfigPaths, manifestsDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import type { Connection } from '../fleet/connection.ts';
import {
  type ControlPlaneConnection,
  connectFirst,
  controlPlanesIn,
  type InventorySource,
} from '../fleet/on-control-plane.ts';
import { type Kubeconfig, parseKubeconfig } from '../kubeconfig/kubeconfig.ts';

export interface ApiServer {
  /** The administrator's kubeconfig, as it stands on the host. */
  kubeconfig: Kubeconfig;
  /** Where the host's own API server listens. */
  address: string;
  port: number;
}

const manifest = `${manifestsDir}/kube-apiserver.yaml`;
const boundary = 'kinit-boundary';
const script = `cat ${kubeconfigPaths.admin} || exit 3; echo; echo ${boundary}; sed -n 's/^.*--\\(advertise-address\\|secure-port\\)=/\\1=/p' ${manifest} 2>/dev/null; true`;

/** One round trip. @throws KinitError when the host has no administrator's kubeconfig */
export async function readApiServer(connection: Connection, signal: AbortSignal): Promise<ApiServer> {
  const { code, stdout, stderr } = await connection.root(script, { signal });
  const [text = '', flags = ''] = stdout.split(`${boundary}\n`);
  if (code !== 0) {
    throw new KinitError('Command', `${kubeconfigPaths.admin} cannot be read`, {
      host: connection.host,
      seen: stderr.trim(),
      advice: 'only a control plane that kinit or kubeadm has made has one',
    });
  }
  const kubeconfig = parseKubeconfig(text, kubeconfigPaths.admin);
  const flag = (name: string) => new RegExp(`^${name}=["']?([^"'\\s]+)`, 'm').exec(flags)?.[1];
  const named = splitHostPort((kubeconfig.clusters[0]?.cluster.server ?? '').replace(/^https:\/\//, ''));
  return {
    kubeconfig,
    address: flag('advertise-address') ?? named?.host ?? '127.0.0.1',
    port: Number(flag('secure-port') ?? named?.port ?? defaultBindPort),
  };
}

export interface ApiConnection extends ControlPlaneConnection {
  api: ApiServer;
}

/** Connects to the first control plane whose API server can be reached from there. */
export async function connectApi(source: InventorySource, signal: AbortSignal): Promise<ApiConnection> {
  let api: ApiServer | undefined;
  const found = await connectFirst(await controlPlanesIn(source), signal, async (connection) => {
    api = await readApiServer(connection, signal);
    (await connection.forward(api.address, api.port)).destroy();
    return undefined;
  });
  if (!api) throw new Error('connectFirst has judged no host');
  return { ...found, api };
}
