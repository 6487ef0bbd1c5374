/** `kinit version` */
import type { Command } from 'commander';
import { KinitError } from '../installer/errors.ts';
import { apiVersionInfo, kinitVersion, kubernetesVersion } from '../machinery/version.ts';

/** As kubeadm describes itself; `kinitVersion` comes on top. */
function describeVersion(): { clientVersion: Record<string, string>; kinitVersion: string } {
  const { major, minor, gitVersion, gitCommit, gitTreeState, buildDate, goVersion, compiler, platform } =
    apiVersionInfo() as Record<string, string>;
  const clientVersion = { major, minor, gitVersion, gitCommit, gitTreeState, buildDate, goVersion, compiler, platform };
  return { clientVersion: clientVersion as Record<string, string>, kinitVersion };
}

export function formatVersion(output: string): string {
  switch (output) {
    case 'text':
      return `kinit ${kinitVersion} (Kubernetes ${kubernetesVersion}, Node ${process.version})\n`;
    case 'short':
      return `${kubernetesVersion}\n`;
    case 'json':
      return `${JSON.stringify(describeVersion(), null, 2)}\n`;
    case 'yaml': {
      const { clientVersion } = describeVersion();
      const lines = Object.entries(clientVersion).sort(([a], [b]) => (a < b ? -1 : 1));
      const fields = lines.map(([name, value]) => `  ${name}: ${JSON.stringify(value)}\n`).join('');
      return `clientVersion:\n${fields}kinitVersion: ${kinitVersion}\n`;
    }
    default:
      throw new KinitError('Usage', `--output is "${output}"; it takes text, short, yaml or json`);
  }
}

export function addVersionCommand(program: Command): void {
  program
    .command('version')
    .description('print the versions of kinit and of the Kubernetes that it installs')
    .option('-o, --output <format>', 'text, short, yaml or json', 'text')
    .action(({ output }: { output: string }) => {
      process.stdout.write(formatVersion(output));
    });
}
