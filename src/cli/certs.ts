/** `kinit certs check-expiration` */
import type { Command } from 'commander';
import { defaultCertificatesDir } from '../installer/config/paths.ts';
import { localHost } from '../installer/host/host.ts';
import { formatTable } from './table.ts';

export function addCertsCommand(program: Command): void {
  const certs = program.command('certs').description('certificates of the control plane');
  certs
    .command('check-expiration')
    .description('list the certificates with the time that they have left')
    .option('--cert-dir <path>', 'folder of the certificates', defaultCertificatesDir)
    .option('-o, --output <format>', 'text or json', 'text')
    .action(async ({ certDir, output }: { certDir: string; output: string }) => {
      const { checkExpiration } = await import('../installer/pki/expiration.ts');
      const found = await checkExpiration(localHost(), certDir);
      if (output === 'json') {
        process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
        return;
      }
      const rows = found.map(({ name, expires, residualDays, authority }) => [
        name,
        expires,
        `${residualDays}d`,
        authority ?? '',
      ]);
      process.stdout.write(formatTable(['CERTIFICATE', 'EXPIRES', 'RESIDUAL TIME', 'CERTIFICATE AUTHORITY'], rows));
    });
}
