/** `kinit version` */
import type { Command } from 'commander';
import { kinitVersion, kubernetesVersion } from '../machinery/version.ts';

export function addVersionCommand(program: Command): void {
  program
    .command('version')
    .description('print the versions of kinit and of the Kubernetes that it installs')
    .option('-o, --output <format>', 'text, short, yaml or json', 'text')
    .action(({ output }: { output: string }) => {
      const node = process.version;
      const text: Record<string, string> = {
        short: `${kinitVersion}\n`,
        json: `${JSON.stringify({ kinit: kinitVersion, kubernetes: kubernetesVersion, node })}\n`,
        yaml: `kinit: ${kinitVersion}\nkubernetes: ${kubernetesVersion}\nnode: ${node}\n`,
      };
      process.stdout.write(text[output] ?? `kinit ${kinitVersion} (Kubernetes ${kubernetesVersion}, Node ${node})\n`);
    });
}
