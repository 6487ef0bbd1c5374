/** The audit policy: which rule decides; the log's files: how they are called and which of them stay. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withoutManagedFields } from '../../../src/components/apiserver/audit/auditor.ts';
import { LogFile, rotatedAt, rotatedName } from '../../../src/components/apiserver/audit/log-file.ts';
import { decide, parsePolicy } from '../../../src/components/apiserver/audit/policy.ts';
import { requestInfo } from '../../../src/components/apiserver/server/request-info.ts';

const policyOf = (rules: string, head = '') =>
  parsePolicy(`apiVersion: audit.k8s.io/v1\nkind: Policy\n${head}rules:\n${rules}`);
const infoOf = (method: string, path: string) => requestInfo(method, new URL(path, 'https://x'));
const user = { name: 'ann', groups: ['system:authenticated', 'ops'] };

describe('a policy rule', () => {
  it.each([
    ['users: [ann]', 'GET', '/api/v1/pods', true],
    ['users: [bob]', 'GET', '/api/v1/pods', false],
    ['userGroups: [ops]', 'GET', '/api/v1/pods', true],
    ['userGroups: [dev]', 'GET', '/api/v1/pods', false],
    ['verbs: [list, watch]', 'GET', '/api/v1/pods', true],
    ['verbs: [get]', 'GET', '/api/v1/pods', false],
    ['resources: [{group: "", resources: [pods]}]', 'GET', '/api/v1/namespaces/a/pods/p', true],
    ['resources: [{group: "", resources: [pods]}]', 'GET', '/api/v1/namespaces/a/pods/p/log', false],
    ['resources: [{group: "", resources: [pods/log]}]', 'GET', '/api/v1/namespaces/a/pods/p/log', true],
    ['resources: [{group: "", resources: ["pods/*"]}]', 'GET', '/api/v1/namespaces/a/pods/p/log', true],
    ['resources: [{group: "", resources: ["*/log"]}]', 'GET', '/api/v1/namespaces/a/pods/p/log', true],
    ['resources: [{group: "", resources: ["*"]}]', 'GET', '/api/v1/namespaces/a/pods/p/log', true],
    ['resources: [{group: apps}]', 'GET', '/api/v1/pods', false],
    ['resources: [{group: apps}]', 'GET', '/apis/apps/v1/deployments', true],
    [
      'resources: [{group: "", resources: [secrets], resourceNames: [s]}]',
      'GET',
      '/api/v1/namespaces/a/secrets/s',
      true,
    ],
    [
      'resources: [{group: "", resources: [secrets], resourceNames: [s]}]',
      'GET',
      '/api/v1/namespaces/a/secrets/t',
      false,
    ],
    ['namespaces: [a]', 'GET', '/api/v1/namespaces/a/pods', true],
    ['namespaces: [a]', 'GET', '/api/v1/namespaces/b/pods', false],
    ['namespaces: [""]', 'GET', '/api/v1/nodes', true],
    ['namespaces: [a]', 'GET', '/healthz', false],
    ['nonResourceURLs: [/healthz*]', 'GET', '/healthz/etcd', true],
    ['nonResourceURLs: [/healthz]', 'GET', '/healthz/etcd', false],
    ['nonResourceURLs: ["*"]', 'GET', '/api/v1/pods', false],
  ])('with %s and %s %s: %s', (fields, method, path, expected) => {
    const policy = policyOf(`- {level: Request, ${fields}}`);
    expect(decide(policy, infoOf(method, path), user).level).toBe(expected ? 'Request' : 'None');
  });

  it('that comes first decides, with stages and fields of its own', () => {
    const policy = policyOf(
      '- {level: None, users: [bob]}\n- {level: Metadata, users: [ann], omitStages: [ResponseStarted], omitManagedFields: false}\n- {level: RequestResponse}',
      'omitStages: [RequestReceived]\nomitManagedFields: true\n',
    );
    const info = infoOf('GET', '/api/v1/pods');
    expect(decide(policy, info, user)).toEqual({
      level: 'Metadata',
      omitStages: new Set(['RequestReceived', 'ResponseStarted']),
      omitManagedFields: false,
    });
    expect(decide(policy, info, { name: 'bob', groups: [] }).level).toBe('None');
    expect(decide(policy, info, undefined)).toMatchObject({ level: 'RequestResponse', omitManagedFields: true });
  });

  it.each([
    ['- {level: Everything}', 'rules[0].level: Unsupported value: "Everything"'],
    ['- {level: None, who: [x]}', 'rules[0].who: unknown field'],
    ['- {level: None, nonResourceURLs: [/a], namespaces: [b]}', 'cannot apply to both'],
    ['- {level: None, nonResourceURLs: ["/a*b"]}', 'rules[0].nonResourceURLs[0]'],
    ['- {level: None, resources: [{group: apps/v1}]}', 'rules[0].resources[0].group'],
    ['- {level: None, resources: [{resourceNames: [x]}]}', 'requires at least one resource'],
    ['- {level: None, omitStages: [Never]}', 'allowed stages are'],
    [' []', 'illegal policy with 0 rules'],
  ])('like %s is refused', (rules, message) => expect(() => policyOf(rules)).toThrow(message));
});

it('managed fields go from objects and from the items of lists, and nothing else', () => {
  const object = { kind: 'Pod', metadata: { name: 'p', managedFields: [{}] } };
  const trimmed = { kind: 'Pod', metadata: { name: 'p' } };
  expect(withoutManagedFields(object)).toEqual(trimmed);
  expect(withoutManagedFields({ kind: 'PodList', metadata: {}, items: [object] })).toEqual({
    kind: 'PodList',
    metadata: {},
    items: [trimmed],
  });
  expect(withoutManagedFields([{ op: 'add' }])).toEqual([{ op: 'add' }]);
  expect(object.metadata.managedFields).toHaveLength(1);
});

describe('the log file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kinit-audit-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('has the time in its name once it is an old one', () => {
    const time = new Date('2026-01-31T10:20:30.456Z');
    expect(rotatedName('/var/log/audit.log', time)).toBe('/var/log/audit-2026-01-31T10-20-30.456.log');
    expect(rotatedAt('/var/log/audit.log', 'audit-2026-01-31T10-20-30.456.log')).toBe(time.getTime());
    expect(rotatedAt('/var/log/audit.log', 'audit-of-mine.log')).toBeUndefined();
  });

  it('begins anew when it is full, keeps as many old ones as it may, and goes on after a restart', async () => {
    const path = join(folder, 'audit.log');
    const long = rotatedName(path, new Date('2020-01-01T00:00:00Z'));
    await writeFile(long, 'old\n');
    const lost: number[] = [];
    const options = {
      path,
      maxBytes: 30,
      maxBackups: 2,
      maxAgeMs: 86_400_000,
      onError: (count: number) => lost.push(count),
    };
    for (let i = 0; i < 5; i++) {
      const log = new LogFile(options);
      await log.start();
      log.append(`line ${i} of the log`);
      log.append(`and one more of ${i}`);
      await log.close();
    }
    const names = (await readdir(folder)).sort();
    expect(names).toHaveLength(3);
    expect(names.filter((name) => rotatedAt(path, name) !== undefined)).toHaveLength(2);
    expect(await readFile(path, 'utf8')).toBe('line 4 of the log\nand one more of 4\n');
    expect(lost).toEqual([]);
  });

  it('that cannot be written loses lines and says how many, and nobody waits', async () => {
    const lost: number[] = [];
    const path = join(folder, 'audit.log');
    const log = new LogFile({ path, maxBytes: 1, maxBackups: 1, maxAgeMs: 0, onError: (count) => lost.push(count) });
    await log.start();
    log.append('first');
    await log.close();
    await rm(folder, { recursive: true });
    await writeFile(folder, 'in the way');
    log.append('second');
    log.append('third');
    await log.close();
    expect(lost).toEqual([2]);
  });
});
