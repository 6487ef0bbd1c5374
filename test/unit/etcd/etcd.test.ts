/** What is decided about etcd without asking one: majorities, schedules, manifests, files. */
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { afterAll, describe, expect, it } from 'vitest';
import { noConfig, parseConfig } from '../../../src/installer/config/read-config.ts';
import { resolveInit, resolveJoin } from '../../../src/installer/config/resolve.ts';
import { clusterConfigurationYaml } from '../../../src/installer/control-plane/cluster-objects.ts';
import { programOf } from '../../../src/installer/control-plane/hold.ts';
import { sharedPlaces } from '../../../src/installer/control-plane/shared-certificates.ts';
import { controlPlaneManifest } from '../../../src/installer/control-plane/static-pods.ts';
import { onCalendar } from '../../../src/installer/etcd/calendar.ts';
import { findMember } from '../../../src/installer/etcd/maintenance.ts';
import { formatPkiBackup, parsePkiBackup, writePkiBackup } from '../../../src/installer/etcd/pki-backup.ts';
import { describeQuorum, quorumOf, removalDanger } from '../../../src/installer/etcd/quorum.ts';
import { scheduleSnapshots } from '../../../src/installer/etcd/schedule.ts';
import { scheduleState } from '../../../src/installer/etcd/schedule-state.ts';
import { listSnapshots, verifySnapshot } from '../../../src/installer/etcd/snapshot-file.ts';
import { etcdManifest } from '../../../src/installer/etcd/static-pod.ts';
import { type MemberStatus, problemsOf } from '../../../src/installer/etcd/status.ts';
import { createChanges } from '../../../src/installer/host/changes.ts';
import { openJournal } from '../../../src/installer/host/journal.ts';
import { undoAll } from '../../../src/installer/host/undo.ts';
import { aloneManifest } from '../../../src/installer/phases/etcd-restore.ts';
import { initPhases } from '../../../src/installer/phases/init.ts';
import { localMemberOf } from '../../../src/installer/phases/remove-etcd-member.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';
import { scratchHost, scratchRoot, snapshot } from '../installer/scratch.ts';

const roots: string[] = [];
const newRoot = (files?: Record<string, string>) => {
  const root = scratchRoot(files);
  roots.push(root);
  return root;
};
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

const identity = { hostname: 'cp1', address: '10.0.0.11' };
/** `+` answers, `-` does not, `l` is a learner that answers. */
const members = (text: string): MemberStatus[] =>
  [...text].map((sign, i) => ({
    id: String(i),
    name: `m${i}`,
    peerUrls: [`https://10.0.0.${i}:2380`],
    clientUrls: [`https://10.0.0.${i}:2379`],
    learner: sign === 'l',
    leader: i === 0,
    healthy: sign !== '-',
    alarms: [],
    ...(sign === '-' ? { error: 'gone' } : {}),
  }));

describe('a majority of etcd', () => {
  it.each([
    ['+', true, 0, '1 of 1 voting member answers, 1 is needed: none may be lost'],
    ['+++', true, 1, '3 of 3 voting members answer, 2 are needed: 1 may be lost'],
    ['++-', true, 0, '2 of 3 voting members answer, 2 are needed: none may be lost'],
    ['+--', false, 0, '1 of 3 voting members answer, 2 are needed: etcd takes no writes'],
    ['++ll', true, 0, '2 of 2 voting members answer, 2 are needed: none may be lost'],
    ['+++++', true, 2, '5 of 5 voting members answer, 3 are needed: 2 may be lost'],
  ])('of %s', (text, has, spare, words) => {
    expect(quorumOf(members(text))).toMatchObject({ has, spare });
    expect(describeQuorum(quorumOf(members(text)))).toBe(words);
  });

  it.each([
    ['the last one', '+', 0, /last member/],
    ['a healthy one of three', '+++', 2, /it works, and without it 2 of 2 .* none may be lost/],
    ['the lost one of three', '++-', 2, undefined],
    ['a healthy one of three with a lost one', '++-', 1, /etcd takes no writes/],
    ['one of two', '++', 1, undefined],
    ['a learner', '+l', 1, undefined],
    ['a healthy one of five', '+++++', 4, undefined],
    ['the only voter', '+l', 0, /no voting member/],
  ])('removing %s', (_what, text, id, danger) => {
    if (danger) expect(removalDanger(members(text), String(id))).toMatch(danger);
    else expect(removalDanger(members(text), String(id))).toBeUndefined();
  });

  it('tells what the owner should do something about', () => {
    const [first, second, third] = members('+-l') as [MemberStatus, MemberStatus, MemberStatus];
    const all = [{ ...first, alarms: ['NOSPACE'], raftIndex: 9000 }, second, { ...third, raftIndex: 10 }];
    const problems = problemsOf(all, quorumOf(all)).join('\n');
    expect(problems).toMatch(/etcd takes no writes; start the members again, or restore a snapshot/);
    expect(problems).toMatch(/m1 does not answer: gone/);
    expect(problems).toMatch(/m0 has the alarm NOSPACE.*kinit etcd defrag/);
    expect(problems).toMatch(/m2 is a learner .* kinit etcd member promote m2/);
    expect(problems).toMatch(/m2 is 8990 raft entries behind/);
    expect(problemsOf(members('+++'), quorumOf(members('+++')))).toEqual([]);
  });

  it('finds a member by name or id, and names all of them otherwise', () => {
    expect(findMember(members('++'), 'm1').id).toBe('1');
    expect(findMember(members('++'), '0x1').name).toBe('m1');
    expect(() => findMember(members('++'), 'm7')).toThrow(/no member "m7"/);
  });
});

describe('a schedule of snapshots', () => {
  it.each([
    ['@daily', '*-*-* 00:00:00'],
    ['30 3 * * 1-5', 'Mon,Tue,Wed,Thu,Fri *-*-* 03:30:00'],
    ['*/20 * * * *', '*-*-* *:00,20,40:00'],
    ['*/1 */12 * * *', '*-*-* 00,12:*:00'],
    ['0 0 1,15 JAN-MAR *', '*-01,02,03-01,15 00:00:00'],
    ['0 0 * * SUN,7', 'Sun *-*-* 00:00:00'],
    ['5/25 4 * * *', '*-*-* 04:05,30,55:00'],
  ])('%s is %s for systemd', (schedule, calendar) => {
    expect(onCalendar(schedule)).toBe(calendar);
  });

  it.each(['', 'daily', '61 * * * *', '* * * *', '5-1 * * * *', '*/0 * * * *', '0 0 1 * 1', '0 0 1 * * *'])(
    '%j is refused',
    (schedule) => {
      expect(() => onCalendar(schedule)).toThrow(/is no |names days/);
    },
  );

  it('becomes a timer, changes, ends, and is undone', async () => {
    const root = newRoot({ '/etc/systemd/system/other.service': '' });
    const before = snapshot(root);
    const host = scratchHost(root, (_command, args) =>
      args.includes('show') ? { stdout: 'UnitFileState=disabled\nActiveState=inactive\nResult=success\n' } : {},
    );
    const journal = await openJournal(host);
    const changes = createChanges(host, journal);
    const settings = { schedule: '@daily', keep: 3, directory: '/var/backups/x' };
    expect(await scheduleSnapshots(changes, settings)).toBe(true);
    const units = Object.entries(snapshot(root)).filter(([path]) => path.includes('kinit-etcd-snapshot'));
    expect(units.map(([, text]) => text).join('\n')).toMatch(
      /ExecStart=\S+\/kinit etcd snapshot save --directory \/var\/backups\/x --keep 3\n[\s\S]*OnCalendar=\*-\*-\* 00:00:00\n/,
    );
    expect(await scheduleState(host)).toMatchObject({
      ...settings,
      active: false,
      problem: expect.stringMatching(/does not run/),
    });
    await scheduleSnapshots(changes, { ...settings, schedule: '@hourly' });
    expect(await scheduleState(host)).toMatchObject({ schedule: '@hourly' });
    expect(await scheduleSnapshots(changes, { ...settings, schedule: 'off' })).toBe(true);
    expect(await scheduleState(host)).toBeUndefined();
    await scheduleSnapshots(changes, settings);
    await undoAll(host, journal.entries);
    rmSync(join(root, 'var/lib/kinit'), { recursive: true });
    const { '/var': _var, '/var/lib': _lib, ...after } = snapshot(root);
    expect(after).toEqual(before);
  });

  it('that failed is a problem of the status', async () => {
    const root = newRoot({
      '/etc/systemd/system/kinit-etcd-snapshot.timer': '# schedule: @daily\n# keep: 3\n# directory: /s\n',
    });
    const host = scratchHost(root, () => ({
      stdout: 'ActiveState=active\nResult=exit-code\nExecMainStartTimestamp=Sat 2026-11-21 11:46:37 UTC\n',
    }));
    expect(await scheduleState(host)).toMatchObject({
      lastResult: 'exit-code',
      problem: expect.stringMatching(/last scheduled snapshot failed: journalctl/),
    });
  });

  it('is set by the file or by flags, and left alone when nobody speaks of it', () => {
    const file = parseConfig(
      'apiVersion: kinit.local/v1alpha1\nkind: HostConfiguration\netcd: { snapshots: { keep: 3 } }\n',
      'f',
    );
    expect(resolveInit({}, noConfig, identity, []).host.etcd).toBeUndefined();
    expect(resolveInit({}, file, identity, []).host.etcd?.snapshots).toMatchObject({ schedule: '@daily', keep: 3 });
    const flags = {
      etcdSnapshotSchedule: 'off',
      controlPlane: true,
      endpoint: '10.0.0.1:6443',
      token: 'abcdef.0123456789abcdef',
      discoveryTokenUnsafeSkipCaVerification: true,
    };
    expect(resolveJoin(flags, file, identity, []).host.etcd?.snapshots).toMatchObject({ schedule: 'off', keep: 3 });
    expect(() => resolveInit({ etcdSnapshotKeep: '0' }, file, identity, [])).toThrow(/--etcd-snapshot-keep is "0"/);
    expect(() =>
      parseConfig(
        'apiVersion: kinit.local/v1alpha1\nkind: HostConfiguration\netcd: { snapshots: { schedule: now } }\n',
        'f',
      ),
    ).toThrow(/"now" is no schedule/);
  });
});

describe('a snapshot file', () => {
  const content = Buffer.alloc(1024, 7);
  const whole = Buffer.concat([content, createHash('sha256').update(content).digest()]);
  const path = (root: string) => join(root, 'x.db');

  it('is whole when its last 32 bytes are the checksum of the others', async () => {
    const root = newRoot();
    writeFileSync(path(root), whole);
    expect(await verifySnapshot(path(root))).toEqual({
      sizeBytes: 1056,
      sha256: createHash('sha256').update(whole).digest('hex'),
    });
  });

  it.each([
    ['torn', whole.subarray(0, 900), /checksum is missing/],
    ['without checksum', content, /checksum is missing/],
    ['damaged', Buffer.concat([Buffer.from([1]), whole.subarray(1)]), /damaged/],
    ['empty', Buffer.alloc(0), /checksum is missing/],
  ])('is refused when it is %s', async (_what, bytes, message) => {
    const root = newRoot();
    writeFileSync(path(root), bytes);
    await expect(verifySnapshot(path(root))).rejects.toThrow(message);
  });

  it('is listed, the newest first, also when nothing is noted of it', async () => {
    const info = (time: string) => JSON.stringify({ time });
    const root = newRoot({
      '/s/a-20260101T000000Z.db': '',
      '/s/b.db': '',
      '/s/b.db.json': info('2026-11-21T00:00:00Z'),
      '/s/c.db': '',
      '/s/c.db.json': info('2026-11-22T00:00:00Z'),
      '/s/.draft.db': '',
    });
    const entries = await listSnapshots(scratchHost(root), '/s');
    expect(entries.map((entry) => entry.path)).toEqual(['/s/c.db', '/s/b.db', '/s/a-20260101T000000Z.db']);
  });
});

describe('the keys of a cluster in a file', () => {
  const key = '0f'.repeat(32);
  const files = { '/pki/ca.crt': 'c', '/pki/ca.key': 'k', '/pki/etcd/ca.key': 'e', '/pki/other.key': 'o' };

  it.each([
    ['plain', undefined],
    ['encrypted', key],
  ])('come back as they were: %s', async (_how, certificateKey) => {
    const text = await formatPkiBackup(scratchHost(newRoot(files)), '/pki', certificateKey);
    const root = newRoot();
    const host = scratchHost(root);
    const changes = createChanges(host, await openJournal(host));
    expect(await writePkiBackup(changes, '/pki', parsePkiBackup(text, 'f', certificateKey))).toBe(true);
    expect(snapshot(join(root, 'pki'))).toEqual({
      '/ca.crt': '644 c',
      '/ca.key': '600 k',
      '/etcd': 'directory',
      '/etcd/ca.key': '600 e',
    });
  });

  it('are not in sight when they are encrypted, and need their key', async () => {
    const text = await formatPkiBackup(scratchHost(newRoot(files)), '/pki', key);
    expect(text).not.toContain(Buffer.from('k').toString('base64'));
    expect(() => parsePkiBackup(text, 'f')).toThrow(/f is encrypted/);
    expect(() => parsePkiBackup(text, 'f', 'aa'.repeat(32))).toThrow(/cannot be decrypted/);
    expect(() => parsePkiBackup('{}', 'f')).toThrow(/does not hold the keys/);
  });

  it('never replace those of another cluster', async () => {
    const text = await formatPkiBackup(scratchHost(newRoot(files)), '/pki');
    const root = newRoot({ '/pki/ca.key': 'another' });
    const host = scratchHost(root);
    const changes = createChanges(host, await openJournal(host));
    await expect(writePkiBackup(changes, '/pki', parsePkiBackup(text, 'f'))).rejects.toThrow(
      /not the one of the backup/,
    );
    expect(snapshot(join(root, 'pki'))).toEqual({ '/ca.key': expect.stringMatching(/another$/) });
  });
});

describe('a restored member', () => {
  it('is alone in its manifest, which is otherwise as it was', () => {
    const config = resolveInit({}, noConfig, identity, []);
    const three = etcdManifest(config, 'cp1=https://10.0.0.11:2380,cp2=https://10.0.0.12:2380');
    const alone = aloneManifest(three, 'cp1', 'https://10.0.0.11:2380');
    expect(localMemberOf(three)?.otherClientUrls).toEqual(['https://10.0.0.12:2379']);
    expect(localMemberOf(alone)?.otherClientUrls).toEqual([]);
    expect(alone).toBe(etcdManifest(config));
  });

  it.each([
    ['etcd\0--name=x\0', 'etcd'],
    ['/usr/local/bin/node\0/usr/local/bin/kube-apiserver\0--x\0', 'kube-apiserver'],
    ['/opt/kinit/bin/node\0--max-semi-space-size=1\0/x/main.mjs\0etcd\0restore\0', 'main.mjs'],
    ['bash\0-c\0etcd --name x\0', 'bash'],
    ['', ''],
  ])('is known by its program: %j is %s', (commandLine, program) => {
    expect(programOf(commandLine)).toBe(program);
  });
});

describe('an etcd that is elsewhere', () => {
  const external = (fields: string) =>
    parseConfig(`apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\netcd:\n  external: ${fields}\n`, 'f');
  const tls =
    '{ endpoints: ["https://10.0.0.1:2379", "https://10.0.0.2:2379"], caFile: /e/ca.crt, certFile: /e/c.crt, keyFile: /f/c.key }';
  const config = resolveInit({}, external(tls), identity, []);
  const pod = load(controlPlaneManifest('kube-apiserver', config, [])) as Pod;

  it('has its flags and folders in the manifest of the API server', () => {
    const words = pod.spec!.containers[0]!.command!.filter((word) => word.startsWith('--etcd-'));
    expect(words).toEqual([
      '--etcd-cafile=/e/ca.crt',
      '--etcd-certfile=/e/c.crt',
      '--etcd-keyfile=/f/c.key',
      '--etcd-servers=https://10.0.0.1:2379,https://10.0.0.2:2379',
    ]);
    expect(pod.spec!.volumes!.filter(({ name }) => name.startsWith('etcd-certs'))).toEqual([
      { name: 'etcd-certs-0', hostPath: { path: '/e', type: 'DirectoryOrCreate' } },
      { name: 'etcd-certs-1', hostPath: { path: '/f', type: 'DirectoryOrCreate' } },
    ]);
  });

  it('stands in the stored configuration instead of a local one', () => {
    expect(load(clusterConfigurationYaml(config.cluster))).toMatchObject({
      etcd: { external: { endpoints: ['https://10.0.0.1:2379', 'https://10.0.0.2:2379'], caFile: '/e/ca.crt' } },
    });
    expect(clusterConfigurationYaml(config.cluster)).not.toContain('local:');
  });

  it('has its files uploaded for other control planes under kubeadm’s names', () => {
    const places = sharedPlaces(config.cluster);
    expect(places.get('external-etcd-ca.crt')).toBe('/e/ca.crt');
    expect(places.get('external-etcd.key')).toBe('/f/c.key');
    expect([...places.keys()].filter((name) => name.startsWith('etcd-'))).toEqual([]);
  });

  it('needs no certificates of etcd, and no etcd', async () => {
    const context = { config } as never;
    const needed: string[] = [];
    for (const phase of initPhases) {
      if (/^certs\/|^etcd\/local/.test(phase.name) && (await (phase.needed?.(context) ?? true)))
        needed.push(phase.name);
    }
    expect(needed).toEqual([
      'certs/ca',
      'certs/front-proxy-ca',
      'certs/apiserver',
      'certs/apiserver-kubelet-client',
      'certs/front-proxy-client',
      'certs/sa',
      'certs/encryption',
    ]);
  });

  it.each([
    ['{ endpoints: ["http://10.0.0.1:2379"], caFile: /e/ca.crt }', /"http:\/\/10.0.0.1:2379" is not a URL/],
    ['{ endpoints: ["10.0.0.1:2379"] }', /is not a URL/],
    ['{ endpoints: [] }', /endpoints/],
    ['{ endpoints: ["https://a:2379"], caFile: /c, certFile: /d }', /either both or none/],
    ['{ endpoints: ["https://a:2379"], certFile: /d, keyFile: /e }', /requires .Etcd.External.CAFile/],
    ['{ endpoints: ["https://a:2379"], caFile: c }', /"c" is not an absolute path/],
  ])('is refused when it is %s', (fields, message) => {
    expect(() => resolveInit({}, external(fields), identity, [])).toThrow(message);
  });

  it('and a local one exclude each other', () => {
    const both =
      'apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\netcd:\n  local: { dataDir: /d }\n  external: { endpoints: ["http://a:2379"] }\n';
    expect(() => parseConfig(both, 'f')).toThrow(/mutually exclusive/);
  });
});
