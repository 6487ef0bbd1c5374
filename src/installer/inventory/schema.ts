/** The inventory file (`kinit.local/v1alpha1`, kind Inventory) as a zod schema. */
import { z } from 'zod';
import { labelValueErrors, qualifiedNameErrors } from '../../machinery/api/names.ts';
import { addonList } from '../config/addon-values.ts';
import { kubeletDocument, proxyDocument } from '../config/component-schema.ts';
import { clusterDocument, endpointSettings, hostDocument } from '../config/schema.ts';
import { bundleSources } from './types.ts';

const environmentName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not the name of an environment variable');

const port = z.int().min(1).max(65535);
const strings = z.union([z.string(), z.array(z.string())]);

const login = {
  user: z.string().min(1).optional(),
  port: port.optional(),
  identityFile: z.string().min(1).optional(),
  certificateFile: strings.optional(),
  passphraseFromEnv: environmentName.optional(),
  passwordFromEnv: environmentName.optional(),
  hostKeys: strings.optional(),
  knownHosts: strings.optional(),
  hostKeyChecking: z.enum(['strict', 'accept-new', 'off']).optional(),
  /** The same as hostKeyChecking: accept-new. */
  acceptHostKeys: z.boolean().optional(),
  proxyCommand: z.string().min(1).optional(),
};

const bastion = z.strictObject({ address: z.string().min(1), ...login });

const checked = (errors: (text: string) => string[]) =>
  z.string().superRefine((text, { addIssue }) => {
    for (const message of errors(text)) addIssue({ code: 'custom', message: `("${text}"): ${message}` });
  });
const key = checked(qualifiedNameErrors);
const labelValue = checked(labelValueErrors);

const taint = z.strictObject({
  key,
  value: labelValue.optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
});

/** What a host can say, and what `defaults` can say for all of them. */
const shared = {
  ...login,
  connection: z.enum(['ssh', 'local']).optional(),
  sudo: z
    .union([z.enum(['none', 'passwordless']), z.strictObject({ passwordFromEnv: environmentName })], {
      error: 'is none, passwordless, or passwordFromEnv with the name of an environment variable',
    })
    .optional(),
  bastion: bastion.optional(),
  labels: z.record(key, labelValue).optional(),
  annotations: z.record(key, z.string()).optional(),
  taints: z.array(taint).optional(),
  /** Not of one host: the inventory's own `endpoint` and `addons`. */
  settings: hostDocument.omit({ apiVersion: true, kind: true, endpoint: true, addons: true }).optional(),
};

const sharedDocument = z.strictObject(shared);
const roles = z.array(z.enum(['control-plane', 'worker'])).min(1);

export const hostName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'is not a host name (lower-case letters, digits, dots, dashes)');

export const inventoryHost = z.strictObject({
  name: hostName,
  address: z.string().min(1).optional(),
  /** Required, unless a group of the host has some. */
  roles: roles.optional(),
  nodeName: z.string().optional(),
  ...shared,
});

/** Hosts that have something in common: defined here, or named when they stand elsewhere. */
const group = z.strictObject({
  roles: roles.optional(),
  defaults: sharedDocument.optional(),
  hosts: z
    .array(z.union([z.string(), inventoryHost], { error: 'is neither the name of a host nor a host with a name' }))
    .optional(),
});

export const inventoryDocument = z.strictObject({
  apiVersion: z.literal('kinit.local/v1alpha1'),
  kind: z.literal('Inventory'),
  cluster: clusterDocument.omit({ apiVersion: true, kind: true }).optional(),
  endpoint: endpointSettings.optional(),
  addons: addonList.optional(),
  /** Fields of KubeletConfiguration and KubeProxyConfiguration, for all nodes. */
  kubelet: kubeletDocument.omit({ apiVersion: true, kind: true }).optional(),
  kubeProxy: proxyDocument.omit({ apiVersion: true, kind: true }).optional(),
  /** On so many hosts at once. */
  parallel: z.int().min(1).max(1000).optional(),
  bundle: z.strictObject({ from: z.enum(bundleSources).optional() }).optional(),
  defaults: sharedDocument.optional(),
  groups: z.record(z.string().regex(/^[A-Za-z0-9_.-]+$/, 'is not the name of a group'), group).optional(),
  hosts: z.array(inventoryHost).optional(),
});

export type InventoryDocument = z.infer<typeof inventoryDocument>;
export type HostDocument = z.infer<typeof inventoryHost>;
export type SharedDocument = z.infer<typeof sharedDocument>;
