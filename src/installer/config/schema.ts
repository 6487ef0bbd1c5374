/** The documents that `--config` takes, as zod schemas: kubeadm.k8s.io/v1beta4 and kinit's own HostConfiguration. */
import { z } from 'zod';
import { isSchedule, scheduleMistake } from '../etcd/calendar.ts';
import { addonList, directoryPattern } from './addon-values.ts';
import { kubeletDocument, proxyDocument } from './component-schema.ts';

const argument = z.strictObject({ name: z.string(), value: z.string() });
const environment = z.strictObject({ name: z.string(), value: z.string().optional() });
const taint = z.strictObject({
  key: z.string(),
  value: z.string().optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
});
const patches = z.strictObject({ directory: z.string() });

const nodeRegistration = z.strictObject({
  name: z.string().optional(),
  criSocket: z.string().optional(),
  taints: z.array(taint).nullable().optional(),
  kubeletExtraArgs: z.array(argument).optional(),
  ignorePreflightErrors: z.array(z.string()).optional(),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
  imagePullSerial: z.boolean().optional(),
});

const timeouts = z.strictObject({
  controlPlaneComponentHealthCheck: z.string().optional(),
  kubeletHealthCheck: z.string().optional(),
  kubernetesAPICall: z.string().optional(),
  etcdAPICall: z.string().optional(),
  tlsBootstrap: z.string().optional(),
  discovery: z.string().optional(),
  upgradeManifests: z.string().optional(),
});

const apiEndpoint = z.strictObject({
  advertiseAddress: z.string().optional(),
  bindPort: z.int().min(1).max(65535).optional(),
});

const bootstrapToken = z.strictObject({
  token: z.string(),
  description: z.string().optional(),
  ttl: z.string().optional(),
  expires: z.string().optional(),
  usages: z.array(z.enum(['signing', 'authentication'])).optional(),
  groups: z.array(z.string()).optional(),
});

const typeMeta = { apiVersion: z.string(), kind: z.string() };

export const initDocument = z.strictObject({
  ...typeMeta,
  bootstrapTokens: z.array(bootstrapToken).optional(),
  nodeRegistration: nodeRegistration.optional(),
  localAPIEndpoint: apiEndpoint.optional(),
  certificateKey: z.string().optional(),
  skipPhases: z.array(z.string()).optional(),
  patches: patches.optional(),
  dryRun: z.boolean().optional(),
  timeouts: timeouts.optional(),
});

const component = {
  extraArgs: z.array(argument).optional(),
  extraVolumes: z
    .array(
      z.strictObject({
        name: z.string(),
        hostPath: z.string(),
        mountPath: z.string(),
        readOnly: z.boolean().optional(),
        pathType: z.string().optional(),
      }),
    )
    .optional(),
  extraEnvs: z.array(environment).optional(),
};

const image = { imageRepository: z.string().optional(), imageTag: z.string().optional() };

export const clusterDocument = z.strictObject({
  ...typeMeta,
  etcd: z
    .strictObject({
      local: z
        .strictObject({
          ...image,
          dataDir: z.string().optional(),
          extraArgs: z.array(argument).optional(),
          extraEnvs: z.array(environment).optional(),
          serverCertSANs: z.array(z.string()).optional(),
          peerCertSANs: z.array(z.string()).optional(),
        })
        .optional(),
      external: z
        .strictObject({
          endpoints: z.array(z.string()).min(1),
          // kubeadm writes them empty for an etcd without TLS.
          caFile: z.string().optional(),
          certFile: z.string().optional(),
          keyFile: z.string().optional(),
        })
        .optional(),
    })
    .refine(({ local, external }) => !local || !external, {
      error: '.Etcd.Local and .Etcd.External are mutually exclusive',
    })
    .optional(),
  networking: z
    .strictObject({
      serviceSubnet: z.string().optional(),
      podSubnet: z.string().optional(),
      dnsDomain: z.string().optional(),
    })
    .optional(),
  kubernetesVersion: z.string().optional(),
  controlPlaneEndpoint: z.string().optional(),
  apiServer: z.strictObject({ ...component, certSANs: z.array(z.string()).optional() }).optional(),
  controllerManager: z.strictObject(component).optional(),
  scheduler: z.strictObject(component).optional(),
  dns: z.strictObject({ ...image, disabled: z.boolean().optional() }).optional(),
  proxy: z.strictObject({ disabled: z.boolean().optional() }).optional(),
  certificatesDir: z.string().optional(),
  imageRepository: z.string().optional(),
  featureGates: z.record(z.string(), z.boolean()).optional(),
  clusterName: z.string().optional(),
  encryptionAlgorithm: z.enum(['RSA-2048', 'RSA-3072', 'RSA-4096', 'ECDSA-P256', 'ECDSA-P384']).optional(),
  certificateValidityPeriod: z.string().optional(),
  caCertificateValidityPeriod: z.string().optional(),
});

export const joinDocument = z.strictObject({
  ...typeMeta,
  nodeRegistration: nodeRegistration.optional(),
  caCertPath: z.string().optional(),
  discovery: z
    .strictObject({
      bootstrapToken: z
        .strictObject({
          token: z.string(),
          apiServerEndpoint: z.string().optional(),
          caCertHashes: z.array(z.string()).optional(),
          unsafeSkipCAVerification: z.boolean().optional(),
        })
        .optional(),
      file: z.strictObject({ kubeConfigPath: z.string() }).optional(),
      tlsBootstrapToken: z.string().optional(),
    })
    .optional(),
  controlPlane: z
    .strictObject({ localAPIEndpoint: apiEndpoint.optional(), certificateKey: z.string().optional() })
    .optional(),
  skipPhases: z.array(z.string()).optional(),
  patches: patches.optional(),
  dryRun: z.boolean().optional(),
  timeouts: timeouts.optional(),
});

const registryAccess = {
  ca: z
    .string()
    .regex(/-----BEGIN CERTIFICATE-----/, 'is not a certificate in PEM')
    .optional(),
  caFile: z.string().min(1).optional(),
  skipVerify: z.boolean().optional(),
  username: z.string().min(1).optional(),
  password: z.string().min(1).optional(),
  passwordFile: z.string().min(1).optional(),
};
const registryUrl = z
  .string()
  .regex(/^https?:\/\/[^/@\s"]+(\/[^\s"]*)?$/, 'is not a URL like https://mirror.example.com:5000');

const registry = z.strictObject({
  host: z
    .string()
    .regex(
      /^(\*|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?)$/,
      'is not a registry as image names begin with, like registry.example.com:5000',
    ),
  server: registryUrl.optional(),
  mirrors: z.array(z.strictObject({ url: registryUrl, ...registryAccess })).optional(),
  ...registryAccess,
});

export const endpointSettings = z
  .strictObject({
    mode: z.enum(['local', 'shared']).optional(),
    port: z.int().min(1).max(65535).optional(),
    virtualIP: z.ipv4('is not an IPv4 address').optional(),
    interface: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,15}$/, 'is not the name of an interface')
      .optional(),
  })
  .refine(({ mode, virtualIP }) => mode !== undefined || virtualIP !== undefined, {
    error: 'names neither a mode nor a virtualIP',
  });

export const hostDocument = z.strictObject({
  ...typeMeta,
  swap: z.enum(['off', 'keep']).optional(),
  selinux: z.enum(['permissive', 'keep']).optional(),
  firewall: z.enum(['open', 'keep']).optional(),
  cgroupDriver: z.enum(['auto', 'systemd', 'cgroupfs']).optional(),
  snapshotter: z.enum(['auto', 'overlayfs', 'native']).optional(),
  runtime: z.enum(['bundle', 'packages', 'existing']).optional(),
  registries: z.array(registry).optional(),
  network: z
    .strictObject({ backend: z.enum(['vxlan', 'host-gw']).optional(), mtu: z.int().min(576).max(65535).optional() })
    .optional(),
  storage: z
    .strictObject({
      provisioner: z.enum(['local-path', 'none']).optional(),
      directory: z.string().regex(directoryPattern, 'is no absolute path without blanks and dots').optional(),
    })
    .optional(),
  addons: addonList.optional(),

  /** Kernel parameters beside those that Kubernetes needs. */
  sysctl: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_]*([./][A-Za-z0-9_-]+)+$/, 'is not the name of a kernel parameter'),
      z.union([z.int(), z.string().regex(/^[^\n]+$/, 'is empty or has several lines')]),
    )
    .optional(),
  endpoint: endpointSettings.optional(),
  etcd: z
    .strictObject({
      snapshots: z
        .strictObject({
          schedule: z
            .string()
            .refine(isSchedule, { error: (issue) => scheduleMistake(String(issue.input)) })
            .optional(),
          keep: z.int().min(1).max(10_000).optional(),
          directory: z
            .string()
            .regex(/^\/[A-Za-z0-9._/-]+$/, 'is no absolute path without blanks')
            .optional(),
        })
        .optional(),
    })
    .optional(),
});

export const resetDocument = z.strictObject({
  ...typeMeta,
  cleanupTmpDir: z.boolean().optional(),
  certificatesDir: z.string().optional(),
  criSocket: z.string().optional(),
  dryRun: z.boolean().optional(),
  force: z.boolean().optional(),
  ignorePreflightErrors: z.array(z.string()).optional(),
  skipPhases: z.array(z.string()).optional(),
  unmountFlags: z.array(z.enum(['MNT_FORCE', 'MNT_DETACH', 'UMOUNT_NOFOLLOW'])).optional(),
  timeouts: timeouts.optional(),
});

const upgradePulls = {
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
  imagePullSerial: z.boolean().optional(),
};
const upgradeVersion = {
  kubernetesVersion: z.string().optional(),
  allowExperimentalUpgrades: z.boolean().optional(),
  allowRCUpgrades: z.boolean().optional(),
};
const upgradeCommon = {
  dryRun: z.boolean().optional(),
  etcdUpgrade: z.boolean().optional(),
  ignorePreflightErrors: z.array(z.string()).optional(),
};
const upgradeHost = {
  ...upgradeCommon,
  ...upgradePulls,
  certificateRenewal: z.boolean().optional(),
  patches: patches.optional(),
  skipPhases: z.array(z.string()).optional(),
};

export const upgradeDocument = z.strictObject({
  ...typeMeta,
  apply: z
    .strictObject({
      ...upgradeVersion,
      ...upgradeHost,
      forceUpgrade: z.boolean().optional(),
      printConfig: z.boolean().optional(),
    })
    .optional(),
  diff: z
    .strictObject({ kubernetesVersion: z.string().optional(), contextLines: z.int().min(0).optional() })
    .optional(),
  node: z.strictObject(upgradeHost).optional(),
  plan: z.strictObject({ ...upgradeVersion, ...upgradeCommon, printConfig: z.boolean().optional() }).optional(),
  timeouts: timeouts.optional(),
});

/**
 * Of a dry run over an inventory: what the dry run of the first control plane says will be stored, for those that have joined
 * it. The first one gets an empty list, which asks it to say so.
 */
export const storedDocument = z.strictObject({ ...typeMeta, objects: z.array(z.looseObject({ kind: z.string() })) });

export const kubeadmVersion = 'kubeadm.k8s.io/v1beta4';

/** kind → where it is read, and its schema. */
export const documentKinds = {
  InitConfiguration: { apiVersion: kubeadmVersion, schema: initDocument },
  ClusterConfiguration: { apiVersion: kubeadmVersion, schema: clusterDocument },
  JoinConfiguration: { apiVersion: kubeadmVersion, schema: joinDocument },
  ResetConfiguration: { apiVersion: kubeadmVersion, schema: resetDocument },
  UpgradeConfiguration: { apiVersion: kubeadmVersion, schema: upgradeDocument },
  HostConfiguration: { apiVersion: 'kinit.local/v1alpha1', schema: hostDocument },
  StoredConfiguration: { apiVersion: 'kinit.local/v1alpha1', schema: storedDocument },
  KubeletConfiguration: { apiVersion: 'kubelet.config.k8s.io/v1beta1', schema: kubeletDocument },
  KubeProxyConfiguration: { apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', schema: proxyDocument },
} as const;

export type DocumentKind = keyof typeof documentKinds;
/** The documents of one file, each at most once. */
export type Documents = { [K in DocumentKind]?: z.infer<(typeof documentKinds)[K]['schema']> };
