/** Rules over a whole configuration that no schema of a single field can say: names, addresses, blocks that overlap. */
import { badCertificateKey, isCertificateKey } from '../pki/transfer.ts';
import { isTokenId, tokenPattern } from '../tokens/format.ts';
import { contains, isAddress, overlaps, parseCidr, splitHostPort } from './cidr.ts';
import { parseDuration } from './duration.ts';
import { featureMistake } from './features.ts';
import { nearestName } from './nearest.ts';
import type {
  Argument,
  ExternalEtcd,
  HostPathMount,
  InitConfiguration,
  JoinConfiguration,
  JoinControlPlane,
  NodeRegistration,
  Timeouts,
} from './types.ts';
import { validateRuntime } from './validate-runtime.ts';
import type { FieldPath } from './yaml.ts';

/** `path` begins with the document's kind. */
export type Complain = (path: FieldPath, message: string) => void;

const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => label.length <= 63 && dnsLabel.test(label));
}

export function validateInit(config: InitConfiguration, complain: Complain, phaseNames: readonly string[]): void {
  const { cluster, localAPIEndpoint } = config;
  validateNode(config.nodeRegistration, 'InitConfiguration', complain);
  validateRuntime(config.host, config.nodeRegistration, 'InitConfiguration', complain);
  validatePhases(config.skipPhases, phaseNames, ['InitConfiguration', 'skipPhases'], complain);
  if (!isAddress(localAPIEndpoint.advertiseAddress) || ['0.0.0.0', '::'].includes(localAPIEndpoint.advertiseAddress)) {
    complain(
      ['InitConfiguration', 'localAPIEndpoint', 'advertiseAddress'],
      `"${localAPIEndpoint.advertiseAddress}" is not an IP address that other hosts can use`,
    );
  }
  validateNetworking(cluster.networking, localAPIEndpoint.advertiseAddress, (field, message) =>
    complain(['ClusterConfiguration', 'networking', field], message),
  );
  if (config.certificateKey && !isCertificateKey(config.certificateKey)) {
    complain(['InitConfiguration', 'certificateKey'], badCertificateKey);
  }
  const { endpoint } = config.host;
  if (endpoint?.mode === 'local' && endpoint.port === localAPIEndpoint.bindPort) {
    complain(['HostConfiguration', 'endpoint', 'port'], `port ${endpoint.port} is the API server's own`);
  }
  if (endpoint?.virtualIP && endpoint.virtualIP === localAPIEndpoint.advertiseAddress) {
    complain(['HostConfiguration', 'endpoint', 'virtualIP'], `${endpoint.virtualIP} is this host's own address`);
  }
  const { controlPlaneEndpoint } = cluster;
  if (controlPlaneEndpoint) {
    const parsed = splitHostPort(controlPlaneEndpoint);
    if (!parsed || (!isAddress(parsed.host) && !isDnsSubdomain(parsed.host))) {
      complain(
        ['ClusterConfiguration', 'controlPlaneEndpoint'],
        `"${controlPlaneEndpoint}" is not an IP address or DNS name with an optional port`,
      );
    }
  }
  const { serverCertSANs, peerCertSANs } = cluster.etcd.local;
  validateNames(cluster.apiServer.certSANs, ['ClusterConfiguration', 'apiServer', 'certSANs'], complain);
  validateNames(serverCertSANs, ['ClusterConfiguration', 'etcd', 'local', 'serverCertSANs'], complain);
  validateNames(peerCertSANs, ['ClusterConfiguration', 'etcd', 'local', 'peerCertSANs'], complain);
  if (!cluster.certificatesDir.startsWith('/')) {
    complain(['ClusterConfiguration', 'certificatesDir'], `"${cluster.certificatesDir}" is not an absolute path`);
  }
  validateExternalEtcd(cluster.etcd.external, (field, message) =>
    complain(['ClusterConfiguration', 'etcd', 'external', ...field], message),
  );
  if (!cluster.etcd.local.dataDir.startsWith('/')) {
    complain(
      ['ClusterConfiguration', 'etcd', 'local', 'dataDir'],
      `"${cluster.etcd.local.dataDir}" is not an absolute path`,
    );
  }
  for (const field of ['certificateValidityPeriod', 'caCertificateValidityPeriod'] as const) {
    const duration = parseDuration(cluster[field]);
    if (duration === undefined || duration <= 0) {
      complain(['ClusterConfiguration', field], `"${cluster[field]}" is not a duration like 8760h`);
    }
  }
  const [leaf, authority] = [cluster.certificateValidityPeriod, cluster.caCertificateValidityPeriod].map(parseDuration);
  if ((leaf ?? 0) > (authority ?? 0) && (authority ?? 0) > 0) {
    complain(
      ['ClusterConfiguration', 'certificateValidityPeriod'],
      `${cluster.certificateValidityPeriod} is longer than caCertificateValidityPeriod ${cluster.caCertificateValidityPeriod}`,
    );
  }
  for (const [name, on] of Object.entries(cluster.featureGates)) {
    const mistake = featureMistake(name, on);
    if (mistake) complain(['ClusterConfiguration', 'featureGates', name], mistake);
  }
  validateTimeouts(config.timeouts, 'InitConfiguration', complain);
  for (const component of ['apiServer', 'controllerManager', 'scheduler'] as const) {
    validateArguments(cluster[component].extraArgs, ['ClusterConfiguration', component, 'extraArgs'], complain);
    validateVolumes(cluster[component].extraVolumes, ['ClusterConfiguration', component, 'extraVolumes'], complain);
  }
  validateArguments(cluster.etcd.local.extraArgs, ['ClusterConfiguration', 'etcd', 'local', 'extraArgs'], complain);
  config.bootstrapTokens.forEach((token, i) => {
    const path = ['InitConfiguration', 'bootstrapTokens', i] as const;
    if (!tokenPattern.test(token.token)) complain([...path, 'token'], describeBadToken(token.token));
    if (token.ttl !== undefined && (parseDuration(token.ttl) ?? -1) < 0) {
      complain([...path, 'ttl'], `"${token.ttl}" is not a duration like 24h; 0 never expires`);
    }
    if (token.expires !== undefined && !isTime(token.expires)) {
      complain([...path, 'expires'], `"${token.expires}" is not a time like 2030-01-31T12:00:00Z`);
    }
    token.groups.forEach((group, g) => {
      if (!/^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/.test(group)) {
        complain([...path, 'groups', g], `"${group}" must begin with "system:bootstrappers:"`);
      }
    });
  });
}

const isTime = (text: string) => /^\d{4}-\d\d-\d\dT/.test(text) && !Number.isNaN(Date.parse(text));

function validateNames(names: readonly string[], path: FieldPath, complain: Complain): void {
  names.forEach((name, i) => {
    if (isAddress(name) || isDnsSubdomain(name.replace(/^\*\./, ''))) return;
    complain([...path, i], `"${name}" is neither an IP address nor a DNS name`);
  });
}

export function validateTimeouts(timeouts: Partial<Timeouts>, kind: string, complain: Complain): void {
  for (const [name, text] of Object.entries(timeouts)) {
    if ((parseDuration(text) ?? 0) > 0) continue;
    complain([kind, 'timeouts', name], `"${text}" is not a duration like 4m0s`);
  }
}

function validateArguments(args: readonly Argument[], path: FieldPath, complain: Complain): void {
  args.forEach(({ name }, i) => {
    if (name === '') complain([...path, i, 'name'], 'an argument without a name');
    else if (name.startsWith('-')) complain([...path, i, 'name'], `"${name}" is to be written without dashes`);
  });
}

const pathTypes = ['', 'DirectoryOrCreate', 'Directory', 'FileOrCreate', 'File', 'Socket', 'CharDevice', 'BlockDevice'];

function validateVolumes(volumes: readonly HostPathMount[], path: FieldPath, complain: Complain): void {
  volumes.forEach(({ name, pathType = '' }, i) => {
    if (!dnsLabel.test(name)) complain([...path, i, 'name'], `"${name}" cannot be the name of a volume`);
    if (pathTypes.includes(pathType)) return;
    const near = nearestName(pathType, pathTypes);
    complain([...path, i, 'pathType'], `"${pathType}" is no type of path${near ? `; did you mean "${near}"?` : ''}`);
  });
}

/** @param advertiseAddress the control plane's; a name is not looked up */
/** kubeadm's rules: TLS wholly or not at all, and absolute paths. */
function validateExternalEtcd(
  external: ExternalEtcd | undefined,
  complain: (field: (string | number)[], message: string) => void,
): void {
  if (!external) return;
  const { endpoints, caFile, certFile, keyFile } = external;
  endpoints.forEach((endpoint, i) => {
    const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
    const schemes = caFile ? ['https:'] : ['http:', 'https:'];
    if (!url || !schemes.includes(url.protocol) || !url.hostname || !['', '/'].includes(url.pathname)) {
      complain(['endpoints', i], `"${endpoint}" is not a URL like ${schemes.at(-1)}//10.0.0.1:2379`);
    }
  });
  if ((certFile === undefined) !== (keyFile === undefined)) {
    complain([], 'either both or none of .Etcd.External.CertFile and .Etcd.External.KeyFile must be set');
  }
  if (certFile && keyFile && !caFile) {
    complain([], 'setting .Etcd.External.CertFile and .Etcd.External.KeyFile requires .Etcd.External.CAFile');
  }
  for (const [field, path] of Object.entries({ caFile, certFile, keyFile })) {
    if (path && !path.startsWith('/')) complain([field], `"${path}" is not an absolute path`);
  }
}

export function validateNetworking(
  { serviceSubnet, podSubnet, dnsDomain }: InitConfiguration['cluster']['networking'],
  advertiseAddress: string,
  complain: (field: string, message: string) => void,
): void {
  const services = parseCidr(serviceSubnet);
  const pods = parseCidr(podSubnet);
  const bad = (text: string, example: string) => `"${text}" is not a CIDR block like ${example}`;
  if (!services) complain('serviceSubnet', bad(serviceSubnet, '10.96.0.0/12'));
  else if ((services.family === 4 ? 32 : 128) - services.prefix < 4) {
    complain('serviceSubnet', `${serviceSubnet} is too small: it must hold at least 10 addresses, DNS is the tenth`);
  } else if ((services.family === 4 ? 32 : 128) - services.prefix > 20) {
    complain('serviceSubnet', `${serviceSubnet} is too large: at most 20 bits, as in 10.96.0.0/12`);
  }
  if (!pods) complain('podSubnet', bad(podSubnet, '10.244.0.0/16'));
  else if (pods.prefix > (pods.family === 4 ? 24 : 64)) {
    complain('podSubnet', `${podSubnet} is too small: every node takes a /${pods.family === 4 ? 24 : 64} of it`);
  }
  if (services && pods && overlaps(services, pods)) {
    complain('podSubnet', `the pod network ${podSubnet} and the service network ${serviceSubnet} overlap`);
  }
  for (const [block, field, name] of [
    [services, 'serviceSubnet', 'service'],
    [pods, 'podSubnet', 'pod'],
  ] as const) {
    if (block && isAddress(advertiseAddress) && contains(block, advertiseAddress)) {
      complain(field, `the ${name} network ${block.text} contains the control plane's address ${advertiseAddress}`);
    }
  }
  if (!isDnsSubdomain(dnsDomain)) complain('dnsDomain', `"${dnsDomain}" is not a DNS domain like cluster.local`);
}

export function validateJoin(config: JoinConfiguration, complain: Complain, phaseNames: readonly string[]): void {
  validateNode(config.nodeRegistration, 'JoinConfiguration', complain);
  validateRuntime(config.host, config.nodeRegistration, 'JoinConfiguration', complain);
  validatePhases(config.skipPhases, phaseNames, ['JoinConfiguration', 'skipPhases'], complain);
  validateTimeouts(config.timeouts, 'JoinConfiguration', complain);
  if (config.controlPlane) validateJoinControlPlane(config.controlPlane, complain);
  const { bootstrapToken, file, tlsBootstrapToken } = config.discovery;
  const at = (...path: (string | number)[]) => ['JoinConfiguration', 'discovery', ...path];
  if (!bootstrapToken && !file) {
    complain(at(), 'how to find the cluster is missing: give the endpoint with --token, or --discovery-file');
  }
  if (bootstrapToken && file) complain(at(), 'discovery by token and by file exclude each other');
  if (bootstrapToken) {
    const endpoint = splitHostPort(bootstrapToken.apiServerEndpoint);
    if (!bootstrapToken.apiServerEndpoint) {
      complain(
        at('bootstrapToken', 'apiServerEndpoint'),
        'the API server to join is missing: kinit join <host>:<port> …',
      );
    } else if (!endpoint?.port || (!isAddress(endpoint.host) && !isDnsSubdomain(endpoint.host))) {
      complain(
        at('bootstrapToken', 'apiServerEndpoint'),
        `"${bootstrapToken.apiServerEndpoint}" is not <host>:<port>, as in 10.0.0.11:6443`,
      );
    }
    if (!tokenPattern.test(bootstrapToken.token))
      complain(at('bootstrapToken', 'token'), describeBadToken(bootstrapToken.token));
    if (bootstrapToken.caCertHashes.length === 0 && !bootstrapToken.unsafeSkipCAVerification) {
      complain(
        at('bootstrapToken', 'caCertHashes'),
        'the CA is not pinned: give --discovery-token-ca-cert-hash, or --discovery-token-unsafe-skip-ca-verification',
      );
    }
    bootstrapToken.caCertHashes.forEach((hash, i) => {
      if (!/^sha256:[0-9a-fA-F]{64}$/.test(hash)) {
        complain(at('bootstrapToken', 'caCertHashes', i), `"${hash}" is not sha256:<64 hexadecimal digits>`);
      }
    });
  }
  if (tlsBootstrapToken && !tokenPattern.test(tlsBootstrapToken)) {
    complain(at('tlsBootstrapToken'), describeBadToken(tlsBootstrapToken));
  }
}

function validateJoinControlPlane({ localAPIEndpoint, certificateKey }: JoinControlPlane, complain: Complain): void {
  const { advertiseAddress } = localAPIEndpoint;
  if (
    advertiseAddress !== undefined &&
    (!isAddress(advertiseAddress) || ['0.0.0.0', '::'].includes(advertiseAddress))
  ) {
    complain(
      ['JoinConfiguration', 'controlPlane', 'localAPIEndpoint', 'advertiseAddress'],
      `"${advertiseAddress}" is not an IP address that other hosts can use`,
    );
  }
  if (certificateKey && !isCertificateKey(certificateKey)) {
    complain(['JoinConfiguration', 'controlPlane', 'certificateKey'], badCertificateKey);
  }
}

export function describeBadToken(token: string): string {
  const id = token.split('.')[0] ?? '';
  // The secret half is never repeated in a message.
  return `the token "${isTokenId(id) ? `${id}.…` : '…'}" does not have the form [a-z0-9]{6}.[a-z0-9]{16}`;
}

function validateNode(node: NodeRegistration, kind: string, complain: Complain): void {
  if (!isDnsSubdomain(node.name)) {
    complain(
      [kind, 'nodeRegistration', 'name'],
      `"${node.name}" cannot be a node's name: lower case letters, digits, "-" and "." only, as in a DNS name`,
    );
  }
  validateArguments(node.kubeletExtraArgs, [kind, 'nodeRegistration', 'kubeletExtraArgs'], complain);
  if (node.criSocket && !/^unix:\/\/\/.+|^\/.+/.test(node.criSocket)) {
    complain(
      [kind, 'nodeRegistration', 'criSocket'],
      `"${node.criSocket}" is not a socket like unix:///run/containerd/containerd.sock`,
    );
  }
}

function validatePhases(skip: string[], known: readonly string[], path: FieldPath, complain: Complain): void {
  const names = new Set(known.flatMap((name) => [name, name.split('/')[0]!, `${name.split('/')[0]}/all`]));
  skip.forEach((name, i) => {
    if (names.has(name)) return;
    const near = nearestName(name, names);
    complain([...path, i], `there is no phase "${name}"${near ? `; did you mean "${near}"?` : ''}`);
  });
}

/** The value of the last argument of a name, as the component would take it. */
export function argumentValue(args: readonly Argument[], name: string): string | undefined {
  return args.findLast((argument) => argument.name === name)?.value;
}
