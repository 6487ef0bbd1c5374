/** Jobs on a real host: followed to the end over lost connections, stopped, and told apart from those that were killed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ownArchitecture } from '../../../src/installer/bundle/architecture.ts';
import { writeRunFile } from '../../../src/installer/bundle/run-file.ts';
import type { FleetEvent } from '../../../src/installer/fleet/events.ts';
import { Fleet } from '../../../src/installer/fleet/fleet.ts';
import { forgetEndedJobs } from '../../../src/installer/fleet/job.ts';
import { parseInventory } from '../../../src/installer/inventory/read-inventory.ts';
import { createLab, type Lab, type LabHost } from '../../lab/lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'kinit-jobs-'));
const bundlePath = join(folder, 'kinit.run');
let lab: Lab;
let host: LabHost;

/** A program in kinit's place that speaks as it does and waits for `/run/<name>` files of the test. */
const program = (body: string) => `#!/bin/sh
say() { echo "{\\"time\\":\\"t\\",\\"host\\":\\"h\\",\\"type\\":\\"$1\\",\\"message\\":\\"$2\\"}"; }
until_there() { while [ ! -e /run/$1 ]; do sleep 0.05; done; }
end() { echo "{\\"time\\":\\"t\\",\\"host\\":\\"h\\",\\"type\\":\\"ended\\",\\"ok\\":true,\\"changed\\":true,\\"ms\\":1}"; exit 0; }
${body}`;

async function install(body: string): Promise<void> {
  const command =
    'mkdir -p /opt/kinit/current/bin; cat > /opt/kinit/current/bin/kinit; chmod 755 /opt/kinit/current/bin/kinit';
  await host.must(command, { input: program(body) });
}

beforeAll(async () => {
  lab = await createLab({
    name: 'fleet-jobs',
    hosts: [{ name: 'a', flavour: 'debian', users: [{ name: 'ops', sudo: 'nopasswd' }] }],
  });
  host = lab.host('a');
  for (const part of ['decoder', 'payload']) await writeFile(join(folder, part), part);
  await writeRunFile(bundlePath, ownArchitecture(), join(folder, 'decoder'), {
    name: 'kinit',
    path: join(folder, 'payload'),
  });
});

beforeEach(() => host.must('rm -f /run/go /run/began /run/stop; rm -rf /var/lib/kinit'));

afterAll(async () => {
  await lab?.down();
  rmSync(folder, { recursive: true, force: true });
});

function open(events: (event: FleetEvent) => void, signal = new AbortController().signal): Promise<Fleet> {
  const settings = {
    name: 'a',
    address: host.ip,
    user: 'ops',
    sudo: 'passwordless',
    identityFile: lab.sshKeyPath,
    knownHosts: lab.knownHosts,
    roles: ['control-plane'],
  };
  const document = { apiVersion: 'kinit.local/v1alpha1', kind: 'Inventory', hosts: [settings] };
  const { hosts } = parseInventory(JSON.stringify(document), join(folder, 'inventory.yaml'));
  return Fleet.open(hosts, { bundlePath, signal, events, env: {} }, { needsRoom: false });
}

function start(signal?: AbortSignal) {
  const messages: string[] = [];
  const opened = open((event) => {
    if (event.type === 'warning') messages.push(event.message);
  }, signal);
  const ended = opened.then((fleet) =>
    fleet
      .run(fleet.member('a'), { command: 'init', arguments: ['--swap', 'keep'], config: 'token: s3cret' })
      .finally(() => fleet.close()),
  );
  ended.catch(() => undefined);
  return { messages, ended };
}

const eventually = async (command: string): Promise<string> =>
  host.must(`for i in $(seq 200); do ${command} && exit 0; sleep 0.05; done; exit 1`);

describe('a job', () => {
  it('that finds the host locked is run again when it is free', async () => {
    await install(`[ -e /run/tried ] && end
touch /run/tried
echo '{"time":"t","host":"h","type":"ended","ok":false,"changed":false,"ms":1,"error":{"code":"Locked","exitCode":11,"message":"another kinit"}}'
exit 11`);
    await expect(start().ended).resolves.toMatchObject({ ok: true });
    await host.must('rm /run/tried');
  });

  it('of a workstation that went away is waited for by the next one', async () => {
    await install(
      'echo $$ > /run/kinit.lock; touch /run/began; until_there go; rm -f /run/kinit.lock; say warning "mine is $$"; end',
    );
    const first = start();
    await eventually('test -e /run/began');
    const second = start();
    await expect.poll(() => second.messages.join(), { timeout: 20_000 }).toContain('kinit is at work on this host');
    expect(await host.must('ls /var/lib/kinit/jobs | wc -l')).toBe('1\n');
    await host.must('touch /run/go');
    await expect(first.ended).resolves.toMatchObject({ ok: true });
    await expect(second.ended).resolves.toMatchObject({ ok: true });
    expect(await host.must('ls /var/lib/kinit/jobs | wc -l')).toBe('2\n');
  });

  it('gets its configuration by a file that only root can read, and that is gone afterwards', async () => {
    await install('say warning "$(stat -c %a $7) $(cat $7)"; say warning "$*"; end');
    const { messages, ended } = start();
    expect(await ended).toMatchObject({ ok: true, changed: true });
    expect(messages[0]).toBe('600 token: s3cret');
    expect(messages[1]).toMatch(/^init --swap keep --output json --config \/var\/lib\/kinit\/jobs\/\S+\/config.yaml$/);
    expect(await host.must('ls /var/lib/kinit/jobs/*')).not.toContain('config.yaml');
  });

  it('goes on without a connection, and is read on from where it was', async () => {
    await install('say warning one; touch /run/began; until_there go; say warning two; end');
    const { messages, ended } = start();
    await eventually('test -e /run/began');
    await host.must('pkill -KILL -u ops sshd || pkill -KILL -u ops -f sshd');
    await host.must('touch /run/go');
    expect(await ended).toMatchObject({ ok: true });
    expect(messages).toEqual(['one', 'the connection was lost; trying to connect again for 5 minutes', 'two']);
  });

  it('is asked to stop, and its last words are heard', async () => {
    await install('trap "say warning stopping; end" TERM; say warning begun; until_there stop');
    const stop = new AbortController();
    const { messages, ended } = start(stop.signal);
    await expect.poll(() => messages.join(), { timeout: 20_000 }).toBe('begun');
    stop.abort(new Error('interrupted'));
    expect(await ended).toMatchObject({ ok: true });
    expect(messages).toEqual(['begun', 'stopping']);
  });

  it('that is just being started when it is interrupted is stopped, too', async () => {
    await install('trap "touch /run/stopped; end" TERM; touch /run/began; until_there stop');
    // The start of a job is a command that takes its time here.
    await host.must(
      'printf "#!/bin/sh\ntouch /run/starting; sleep 1; exec /usr/bin/setsid \\"\\$@\\"" > /usr/local/bin/setsid; chmod 755 /usr/local/bin/setsid',
    );
    const stop = new AbortController();
    const { ended } = start(stop.signal);
    await eventually('test -e /run/starting');
    stop.abort(new Error('interrupted'));
    await ended.catch(() => undefined);
    expect(await host.must('rm /usr/local/bin/setsid; pgrep -af "current/bin/[k]init" || ls /run/stopped')).toBe(
      '/run/stopped\n',
    );
  });

  it('that ends without a last word is an error that shows what it wrote', async () => {
    await install('echo "cannot find my files" >&2; exit 7');
    await expect(start().ended).rejects.toMatchObject({
      message: 'kinit init ended with exit code 7 without a last event',
      details: { host: 'a', seen: 'cannot find my files' },
    });
  });

  it('that is killed is an error, and is not waited for', async () => {
    await install('touch /run/began; until_there stop');
    const { ended } = start();
    await eventually('test -e /run/began');
    await host.must('cd /var/lib/kinit/jobs/*/ && kill -KILL $(cat pid) $(cat kinit.pid)');
    await expect(ended).rejects.toMatchObject({
      message: expect.stringMatching(/^kinit init (was killed|ended with exit code 137)/),
    });
  });

  it('of a reset that nobody has followed to its end is forgotten by the next one; one that still runs is not', async () => {
    await host.must(`cd /var/tmp && mkdir kinit-job-ended kinit-job-unbegun kinit-job-runs
echo 1 > kinit-job-ended/pid; echo 77 > kinit-job-ended/began
sleep 60 > /dev/null 2>&1 < /dev/null & echo $! > kinit-job-runs/pid; cut -d' ' -f22 /proc/$!/stat > kinit-job-runs/began`);
    const fleet = await open(() => undefined);
    await forgetEndedJobs(fleet.member('a').connection);
    fleet.close();
    expect(await host.must('cd /var/tmp && ls -d kinit-job-*; kill $(cat kinit-job-runs/pid); rm -r kinit-job-*')).toBe(
      'kinit-job-runs\n',
    );
  });
});
