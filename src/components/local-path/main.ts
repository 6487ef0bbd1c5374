/** local-path-provisioner: volumes that are directories of the nodes. The same program, as a helper on a node, makes and removes one. */
import { createLogger } from '../../machinery/logging/logger.ts';
import { runComponent } from '../../machinery/process/component.ts';
import { makeFolder, removeFolder } from './folder.ts';

await runComponent({
  name: 'local-path-provisioner',
  about:
    'Makes volumes for claims as directories of the nodes that run the pods, and removes them when they are given back.',
  flags: {
    kubeconfig: { kind: 'string', help: 'Path of a kubeconfig; without it the service account of the pod is used.' },
    'provisioner-name': { kind: 'string', default: 'kinit.local/local-path', help: 'Name that storage classes give.' },
    directory: { kind: 'string', default: '/var/lib/kinit-storage', help: 'Directory of the volumes on every node.' },
    namespace: {
      kind: 'string',
      help: 'Namespace of the helper pods; without it the environment variable POD_NAMESPACE.',
    },
    'helper-image': { kind: 'string', help: 'Image of this program, for the helper pods.' },
    'healthz-bind-address': { kind: 'string', default: ':8080', help: 'Address of /healthz.' },
    task: { kind: 'string', help: 'In a helper pod: make or remove.' },
    root: {
      kind: 'string',
      default: '/storage',
      help: 'In a helper pod: where the directory of the volumes is mounted.',
    },
    folder: { kind: 'string', default: '', help: 'In a helper pod: name of the directory.' },
    v: { kind: 'integer', default: '0', help: 'Log verbosity.' },
  },
  async run(flags, signal) {
    if (flags.task === 'make') return makeFolder(flags.root, flags.folder);
    if (flags.task === 'remove') return removeFolder(flags.root, flags.folder);
    if (flags.task !== undefined) throw new Error(`--task is "${flags.task}"; it takes make or remove`);
    const namespace = flags.namespace ?? process.env['POD_NAMESPACE'];
    if (!namespace) throw new Error('the namespace of the helper pods is not known: set --namespace or POD_NAMESPACE');
    const image = flags['helper-image'];
    if (!image) throw new Error('--helper-image is required');
    const directory = flags.directory.replace(/\/+$/, '');
    if (!/^\/[^/]/.test(directory) || directory.split('/').includes('..'))
      throw new Error(`--directory is "${flags.directory}"; it takes an absolute path below the root`);
    // A helper needs none of these.
    const { provision } = await import('./provision.ts');
    await provision(
      {
        kubeconfig: flags.kubeconfig,
        healthAddress: flags['healthz-bind-address'],
        settings: { provisioner: flags['provisioner-name'], directory, namespace, image },
        log: createLogger('local-path-provisioner', flags.v),
      },
      signal,
    );
  },
});
