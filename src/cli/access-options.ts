/** Flags of the commands that reach a cluster over an inventory: kubectl, tunnel, kubeconfig. */
import type { Command } from 'commander';
import type { InventorySource } from '../installer/fleet/on-control-plane.ts';
import type { HostKeyChecking } from '../installer/inventory/types.ts';
import { hostKeyCheckingOption } from './node-options.ts';
import { askPassphrase } from './passphrase.ts';
import { list } from './session.ts';

export interface AccessFlags {
  inventory?: string;
  limit?: string[];
  acceptHostKeys?: boolean;
  hostKeyChecking?: HostKeyChecking;
}

export function addAccessOptions(command: Command): Command {
  return command
    .option('-i, --inventory <file>', 'reach the cluster over SSH, through the first control plane that answers')
    .option('--limit <hosts>', 'with --inventory: only these control planes', list)
    .option('--accept-host-keys', 'with --inventory: accept the host keys of hosts that are not known yet')
    .addOption(hostKeyCheckingOption());
}

export function sourceOf(flags: AccessFlags & { inventory: string }): InventorySource {
  const { inventory, limit, acceptHostKeys, hostKeyChecking } = flags;
  return {
    inventory,
    ...(limit ? { limit } : {}),
    ...(acceptHostKeys ? { acceptHostKeys } : {}),
    ...(hostKeyChecking ? { hostKeyChecking } : {}),
    askPassphrase,
  };
}

export const hasInventory = <T extends AccessFlags>(flags: T): flags is T & { inventory: string } =>
  flags.inventory !== undefined;
