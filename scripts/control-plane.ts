/**
 * Runs a control plane on this machine until it is stopped with Ctrl-C, to try things by hand:
 * `node_modules/.bin/node scripts/control-plane.ts <folder> [controller-manager] [scheduler]`
 */
import { startControlPlane } from '../test/parts/control-plane.ts';

const [dir, ...components] = process.argv.slice(2);
if (!dir) throw new Error('usage: control-plane.ts <folder> [controller-manager] [scheduler]');
const plane = await startControlPlane({ dir, components: components as ('controller-manager' | 'scheduler')[] });
process.stdout.write(`export KUBECONFIG=${plane.kubeconfig('admin')}\n`);
const stop = () => {
  plane.stop().then(
    () => process.exit(0),
    (error: Error) => {
      process.stderr.write(`${error.message}\n`);
      process.exit(1);
    },
  );
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
