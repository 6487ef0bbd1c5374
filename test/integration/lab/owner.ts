/** Makes a lab, says what it is, and stays until it is killed: `node owner.ts <lab name>`. */
import { createLab } from '../../lab/lab.ts';

const name = process.argv[2];
if (!name) throw new Error('usage: owner.ts <lab name>');
const lab = await createLab({ name, hosts: [{ name: 'a', flavour: 'debian' }] });
await lab.host('a').must('systemd-run --quiet --unit=leftover sleep 1000');
process.stdout.write(`${JSON.stringify(lab.state)}\n`);
setInterval(() => undefined, 60_000);
