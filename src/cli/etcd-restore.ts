/** `kinit etcd restore` */
import type { Command } from 'commander';

export function addEtcdRestoreCommands(etcd: Command): void {
  etcd.command('restore');
}
