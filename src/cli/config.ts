/** `kinit config print | validate` */
import type { Command } from 'commander';

export function addConfigCommand(program: Command): void {
  const config = program.command('config').description('configuration files');
  const print = config.command('print').description('print the default configuration');
  print
    .command('init-defaults', { isDefault: true })
    .description('what kinit init uses when nothing is given')
    .action(async () => {
      const { printInitDefaults } = await import('../installer/config/print.ts');
      process.stdout.write(await printInitDefaults());
    });
  print
    .command('join-defaults')
    .description('what kinit join uses')
    .action(async () => {
      const { printJoinDefaults } = await import('../installer/config/print.ts');
      process.stdout.write(await printJoinDefaults());
    });
  config
    .command('validate')
    .requiredOption('--config <file>', 'configuration file')
    .description('check a configuration file')
    .action(async ({ config: path }: { config: string }) => {
      const { validateFile } = await import('../installer/config/print.ts');
      await validateFile(path);
      process.stdout.write('ok\n');
    });
}
