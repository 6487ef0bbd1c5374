/** `npm run down`: removes the lab of `npm run up` and the files that belong to its cluster. `--lab NAME` for another one. */
import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { removeLab } from '../test/lab/lab.ts';
import { clusterLab, kubeconfigPath, kubectlPath } from '../test/parts/cluster-files.ts';

const { values } = parseArgs({ options: { lab: { type: 'string', default: clusterLab } } });
const there = await removeLab(values.lab);
for (const path of [kubeconfigPath(values.lab), kubectlPath(values.lab)]) await rm(path, { force: true });
process.stdout.write(there ? `lab ${values.lab} is gone\n` : `there was no lab ${values.lab}\n`);
