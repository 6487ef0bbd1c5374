/** Flags over file over defaults: the one configuration that the phases work from. */
import { kubernetesVersion } from '../../machinery/version.ts';
import { KinitError } from '../errors.ts';
import { generateToken } from '../tokens/format.ts';
import { splitHostPort } from './cidr.ts';
import {
  controlPlaneTaint,
  defaultBindPort,
  defaultCluster,
  defaultCriSocket,
  defaultNetworking,
  defaultTimeouts,
  defaultTokenDescription,
  defaultTokenTtl,
  tokenGroups,
  tokenUsages,
} from './defaults.ts';
import type { HostIdentity, InitFlags, JoinFlags } from './flags.ts';
import { withEndpoint } from './local-endpoint.ts';
import { invalidConfig, type ReadConfig } from './read-config.ts';
import { resolveHost } from './resolve-host.ts';
import type { DocumentKind, Documents } from './schema.ts';
import type {
  Argument,
  BootstrapTokenOptions,
  ClusterConfiguration,
  ControlPlaneComponent,
  ExternalEtcd,
  HostConfiguration,
  InitConfiguration,
  JoinConfiguration,
  JoinControlPlane,
  NodeRegistration,
  OpenDocument,
} from './types.ts';
import { type Complain, validateInit, validateJoin } from './validate.ts';

/** @param phaseNames names that skipPhases may contain */
export function resolveInit(
  flags: InitFlags,
  file: ReadConfig,
  identity: HostIdentity,
  phaseNames: readonly string[],
): InitConfiguration {
  const { InitConfiguration: init, ClusterConfiguration: cluster, JoinConfiguration: join } = file.documents;
  const host = resolveHost(flags, file.documents, flags.criSocket ?? init?.nodeRegistration?.criSocket);
  if (join && !init && !cluster)
    throw invalidConfig([`${file.place('JoinConfiguration', [])}: JoinConfiguration is for kinit join`]);
  const features = gatesOf(flags.featureGates) ?? cluster?.featureGates ?? {};
  const version = flags.kubernetesVersion ?? cluster?.kubernetesVersion ?? kubernetesVersion;
  const config = withEndpoint({
    tokenGiven: flags.token !== undefined || (init?.bootstrapTokens?.length ?? 0) > 0,
    bootstrapTokens: resolveTokens(flags, init?.bootstrapTokens),
    nodeRegistration: resolveNode(flags, init?.nodeRegistration, identity, true, host),
    localAPIEndpoint: {
      advertiseAddress:
        addressOf(flags.apiserverAdvertiseAddress ?? init?.localAPIEndpoint?.advertiseAddress) ??
        identity.address ??
        '',
      bindPort: portOf(flags.apiserverBindPort) ?? init?.localAPIEndpoint?.bindPort ?? defaultBindPort,
    },
    certificateKey: flags.certificateKey ?? init?.certificateKey ?? '',
    uploadCerts: flags.uploadCerts ?? false,
    skipPhases: flags.skipPhases ?? init?.skipPhases ?? [],
    patchesFolder: flags.patches ?? init?.patches?.directory,
    timeouts: { ...defaultTimeouts, ...init?.timeouts },
    cluster: {
      apiServer: {
        ...componentOf(cluster?.apiServer, 'apiserver', flags.apiserverExtraArgs),
        certSANs: flags.apiserverCertExtraSans ?? cluster?.apiServer?.certSANs ?? [],
      },
      controllerManager: componentOf(
        cluster?.controllerManager,
        'controller-manager',
        flags.controllerManagerExtraArgs,
      ),
      scheduler: componentOf(cluster?.scheduler, 'scheduler', flags.schedulerExtraArgs),
      etcd: {
        local: {
          dataDir: defaultCluster.etcdDataDir,
          extraArgs: [],
          extraEnvs: [],
          serverCertSANs: [],
          peerCertSANs: [],
          ...cluster?.etcd?.local,
        },
        ...resolveExternalEtcd(cluster?.etcd?.external),
      },
      networking: {
        serviceSubnet: flags.serviceCidr ?? cluster?.networking?.serviceSubnet ?? defaultNetworking.serviceSubnet,
        podSubnet: flags.podNetworkCidr ?? cluster?.networking?.podSubnet ?? defaultNetworking.podSubnet,
        dnsDomain: flags.serviceDnsDomain ?? cluster?.networking?.dnsDomain ?? defaultNetworking.dnsDomain,
      },
      kubernetesVersion: version.startsWith('v') ? version : `v${version}`,
      controlPlaneEndpoint: withPort(
        flags.controlPlaneEndpoint ?? cluster?.controlPlaneEndpoint ?? '',
        portOf(flags.apiserverBindPort) ?? init?.localAPIEndpoint?.bindPort ?? defaultBindPort,
      ),
      dns: { disabled: false, ...cluster?.dns },
      proxy: { disabled: false, ...cluster?.proxy },
      certificatesDir: flags.certDir ?? cluster?.certificatesDir ?? defaultCluster.certificatesDir,
      imageRepository: flags.imageRepository ?? cluster?.imageRepository ?? defaultCluster.imageRepository,
      featureGates: features,
      clusterName: cluster?.clusterName ?? defaultCluster.clusterName,
      encryptionAlgorithm:
        cluster?.encryptionAlgorithm ??
        (features['PublicKeysECDSA'] ? 'ECDSA-P256' : defaultCluster.encryptionAlgorithm),
      certificateValidityPeriod: cluster?.certificateValidityPeriod ?? defaultCluster.certificateValidityPeriod,
      caCertificateValidityPeriod: cluster?.caCertificateValidityPeriod ?? defaultCluster.caCertificateValidityPeriod,
    },
    host,
    kubelet: openFields(file.documents.KubeletConfiguration),
    proxy: openFields(file.documents.KubeProxyConfiguration),
  });
  const { mistakes, complain } = collector(file);
  if (config.cluster.kubernetesVersion !== kubernetesVersion) {
    complain(
      ['ClusterConfiguration', 'kubernetesVersion'],
      `this kinit installs ${kubernetesVersion}, not ${config.cluster.kubernetesVersion}`,
    );
  }
  if (!config.localAPIEndpoint.advertiseAddress) {
    mistakes.push('this host has no address that other hosts can use; give --apiserver-advertise-address');
  } else validateInit(config, complain, phaseNames);
  if (mistakes.length) throw invalidConfig(mistakes);
  return config;
}

export function resolveJoin(
  flags: JoinFlags,
  file: ReadConfig,
  identity: HostIdentity,
  phaseNames: readonly string[],
): JoinConfiguration {
  const given = file.documents.JoinConfiguration;
  const host = resolveHost(flags, file.documents, flags.criSocket ?? given?.nodeRegistration?.criSocket);
  const token = flags.discoveryToken ?? flags.token ?? given?.discovery?.bootstrapToken?.token;
  const discoveryFile = flags.discoveryFile ?? given?.discovery?.file?.kubeConfigPath;
  const inFile = flags.discoveryFile === undefined ? given?.discovery?.bootstrapToken : undefined;
  const byToken =
    flags.endpoint !== undefined ||
    flags.discoveryToken !== undefined ||
    inFile !== undefined ||
    (flags.token !== undefined && discoveryFile === undefined);
  const controlPlane = resolveJoinControlPlane(flags, given?.controlPlane);
  const config: JoinConfiguration = {
    ...(controlPlane ? { controlPlane } : {}),
    nodeRegistration: resolveNode(flags, given?.nodeRegistration, identity, controlPlane !== undefined, host),
    caCertPath: given?.caCertPath ?? '/etc/kubernetes/pki/ca.crt',
    discovery: {
      ...(byToken
        ? {
            bootstrapToken: {
              token: token ?? '',
              apiServerEndpoint: flags.endpoint ?? inFile?.apiServerEndpoint ?? '',
              caCertHashes: flags.discoveryTokenCaCertHash ?? inFile?.caCertHashes ?? [],
              unsafeSkipCAVerification:
                flags.discoveryTokenUnsafeSkipCaVerification ?? inFile?.unsafeSkipCAVerification ?? false,
            },
          }
        : {}),
      ...(discoveryFile ? { file: { kubeConfigPath: discoveryFile } } : {}),
      tlsBootstrapToken: flags.tlsBootstrapToken ?? flags.token ?? given?.discovery?.tlsBootstrapToken ?? token ?? '',
    },
    skipPhases: flags.skipPhases ?? given?.skipPhases ?? [],
    patchesFolder: flags.patches ?? given?.patches?.directory,
    timeouts: { ...defaultTimeouts, ...given?.timeouts },
    host,
    kubelet: openFields(file.documents.KubeletConfiguration),
  };
  const { mistakes, complain } = collector(file);
  validateJoin(config, complain, phaseNames);
  if (mistakes.length) throw invalidConfig(mistakes);
  return config;
}

/** In a file the section alone asks for a control plane, as in kubeadm. */
function resolveJoinControlPlane(
  flags: JoinFlags,
  given: NonNullable<Documents['JoinConfiguration']>['controlPlane'],
): JoinControlPlane | undefined {
  if (!flags.controlPlane && !given) {
    const stray = (['apiserverAdvertiseAddress', 'apiserverBindPort', 'certificateKey'] as const).find(
      (flag) => flags[flag] !== undefined,
    );
    if (!stray) return undefined;
    const name = stray.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new KinitError('Usage', `--${name} is for a control plane`, { advice: 'give --control-plane too' });
  }
  const advertiseAddress = addressOf(flags.apiserverAdvertiseAddress ?? given?.localAPIEndpoint?.advertiseAddress);
  return {
    localAPIEndpoint: {
      ...(advertiseAddress ? { advertiseAddress } : {}),
      bindPort: portOf(flags.apiserverBindPort) ?? given?.localAPIEndpoint?.bindPort ?? defaultBindPort,
    },
    certificateKey: flags.certificateKey ?? given?.certificateKey ?? '',
  };
}

/** Collects mistakes with the place in the file when the field is there, and the field's name otherwise. */
function collector(file: ReadConfig): { mistakes: string[]; complain: Complain } {
  const mistakes: string[] = [];
  return {
    mistakes,
    complain: (path, message) => {
      const [kind, ...rest] = path;
      const inFile =
        file.documents[kind as DocumentKind] !== undefined && hasField(file.documents[kind as DocumentKind], rest);
      mistakes.push(inFile ? `${file.place(kind as DocumentKind, rest)}: ${message}` : message);
    },
  };
}

function hasField(value: unknown, path: readonly (string | number)[]): boolean {
  const first = path[0];
  if (first === undefined) return true;
  return (
    typeof value === 'object' && value !== null && (value as Record<string | number, unknown>)[first] !== undefined
  );
}

function resolveNode(
  flags: { nodeName?: string; criSocket?: string; ignorePreflightErrors?: string[] },
  given: NonNullable<Documents['InitConfiguration']>['nodeRegistration'],
  identity: HostIdentity,
  controlPlane: boolean,
  { runtime }: HostConfiguration,
): NodeRegistration {
  const givenSocket = flags.criSocket ?? given?.criSocket;
  const socket = givenSocket ?? (runtime === 'existing' ? '' : defaultCriSocket);
  return {
    name: (flags.nodeName ?? given?.name ?? identity.hostname).trim().toLowerCase(),
    criSocket: socket.startsWith('/') ? `unix://${socket}` : socket,
    taints: given?.taints ?? (controlPlane ? [controlPlaneTaint] : []),
    kubeletExtraArgs: given?.kubeletExtraArgs ?? [],
    ignorePreflightErrors: [...(given?.ignorePreflightErrors ?? []), ...(flags.ignorePreflightErrors ?? [])],
    imagePullPolicy: given?.imagePullPolicy ?? 'IfNotPresent',
    imagePullSerial: given?.imagePullSerial ?? true,
  };
}

function resolveTokens(flags: InitFlags, given: Partial<BootstrapTokenOptions>[] | undefined): BootstrapTokenOptions[] {
  const ttl = flags.tokenTtl ?? defaultTokenTtl;
  const defaults = { ttl, usages: tokenUsages, groups: tokenGroups };
  const complete = (token: Partial<BootstrapTokenOptions>): BootstrapTokenOptions => ({
    ...defaults,
    ...token,
    token: token.token ?? generateToken(),
    ...(token.expires ? { ttl: undefined } : {}),
  });
  const own = { description: defaultTokenDescription };
  if (flags.token !== undefined) return [complete({ ...own, token: flags.token })];
  return given?.length ? given.map(complete) : [complete(own)];
}

/** @param extra of `--<name>-extra-args`; they stand in for those of the file with the same names */
function componentOf(
  given: Partial<ControlPlaneComponent> | undefined,
  name: string,
  extra: readonly string[] = [],
): ControlPlaneComponent {
  const flags = extra.map((pair) => argumentOf(pair, name));
  const kept = (given?.extraArgs ?? []).filter((argument) => !flags.some((flag) => flag.name === argument.name));
  return {
    extraArgs: [...kept, ...flags],
    extraVolumes: given?.extraVolumes ?? [],
    extraEnvs: given?.extraEnvs ?? [],
  };
}

function argumentOf(pair: string, component: string): Argument {
  const [name = '', value] = pair.split(/=(.*)/s);
  if (name === '' || value === undefined)
    throw new KinitError('Usage', `--${component}-extra-args has "${pair}"; it takes <name>=<value>,…`);
  return { name, value };
}

/** @param criSocket given: there is a runtime, unless the choice was said too */
/** Like kubeadm's: an unspecified address asks for that of the default interface. */
const addressOf = (given: string | undefined) => (given === '0.0.0.0' || given === '::' ? undefined : given);

function openFields(document: OpenDocument | undefined): OpenDocument {
  const { apiVersion: _version, kind: _kind, ...fields } = document ?? {};
  return fields;
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new KinitError('Usage', `--apiserver-bind-port is "${text}"; it takes a port from 1 to 65535`);
  }
  return port;
}

function withPort(endpoint: string, port: number): string {
  const parsed = splitHostPort(endpoint);
  return parsed && parsed.port === undefined ? `${endpoint}:${port}` : endpoint;
}

function gatesOf(text: string | undefined): Record<string, boolean> | undefined {
  if (text === undefined) return undefined;
  return Object.fromEntries(
    text.split(',').map((gate) => {
      const [name = '', value] = gate.split('=');
      if (value !== 'true' && value !== 'false')
        throw new KinitError('Usage', `--feature-gates has "${gate}"; it takes <name>=true|false`);
      return [name, value === 'true'];
    }),
  );
}

/** Empty names are none, as in kubeadm. */
function resolveExternalEtcd(given: ExternalEtcd | undefined): Pick<ClusterConfiguration['etcd'], 'external'> {
  if (!given) return {};
  const { endpoints, caFile, certFile, keyFile } = given;
  return {
    external: {
      endpoints,
      ...(caFile ? { caFile } : {}),
      ...(certFile ? { certFile } : {}),
      ...(keyFile ? { keyFile } : {}),
    },
  };
}
