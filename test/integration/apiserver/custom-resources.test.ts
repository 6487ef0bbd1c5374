/** Custom kinds on a real API server with real etcd, controllers and stock kubectl. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ControlPlane, startControlPlane } from '../../parts/control-plane.ts';

let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane({ components: ['controller-manager'] });
});
afterAll(() => plane.stop());

const run = promisify(execFile);

interface Answer {
  out: string;
  err: string;
}

/** kubectl as the administrator, or with another kubeconfig; `input` is its standard input. */
async function kubectl(args: string[], input?: object, kubeconfig = plane.kubeconfig('admin')): Promise<Answer> {
  const running = run('kubectl', args, { env: { ...process.env, KUBECONFIG: kubeconfig }, timeout: 60_000 });
  if (input) running.child.stdin?.end(JSON.stringify(input));
  try {
    const { stdout, stderr } = await running;
    return { out: stdout, err: stderr };
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return { out: stdout, err: stderr };
  }
}

async function waitFor(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const text = { type: 'string' };
const whole = { type: 'integer' };
const group = 'stable.example.com';

const schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      description: 'What is wanted.',
      required: ['cronSpec'],
      'x-kubernetes-validations': [{ rule: 'self.replicas <= self.maxReplicas', message: 'too many replicas' }],
      properties: {
        cronSpec: { ...text, pattern: '^(\\d+|\\*)(\\s+(\\d+|\\*)){4}$', description: 'When it runs.' },
        image: { ...text, default: 'example.com/cron' },
        replicas: { ...whole, minimum: 0, default: 1 },
        maxReplicas: { ...whole, default: 5 },
        tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: text },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
    status: {
      type: 'object',
      properties: {
        replicas: whole,
        selector: text,
        conditions: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['type'],
          items: { type: 'object', required: ['type', 'status'], properties: { type: text, status: text } },
        },
      },
    },
  },
};

function definition(plural = 'crontabs', kind = 'CronTab', shortNames = ['ct']) {
  const version = {
    served: true,
    schema: { openAPIV3Schema: schema },
    subresources: {
      status: {},
      scale: {
        specReplicasPath: '.spec.replicas',
        statusReplicasPath: '.status.replicas',
        labelSelectorPath: '.status.selector',
      },
    },
    selectableFields: [{ jsonPath: '.spec.image' }],
    additionalPrinterColumns: [{ name: 'Spec', type: 'string', jsonPath: '.spec.cronSpec' }],
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, singular: kind.toLowerCase(), kind, shortNames, categories: ['all'] },
      versions: [
        { ...version, name: 'v1', storage: true },
        { ...version, name: 'v1beta1', storage: false, deprecated: true },
      ],
    },
  };
}

const cronTab = (name: string, spec: object = {}, metadata: object = {}) => ({
  apiVersion: `${group}/v1`,
  kind: 'CronTab',
  metadata: { name, namespace: 'default', ...metadata },
  spec: { cronSpec: '* * * * *', ...spec },
});

const define = async (given = definition()) => {
  await kubectl(['apply', '-f', '-'], given);
  const { out } = await kubectl(['wait', '--for=condition=Established', `crd/${given.metadata.name}`, '--timeout=10s']);
  expect(out).toContain('condition met');
};

describe('a custom kind', () => {
  beforeAll(() => define());

  it('is written, defaulted and printed with its columns, by any of its names', async () => {
    expect((await kubectl(['apply', '-f', '-'], cronTab('first', { free: { any: { thing: 1 } } }))).out).toContain(
      'created',
    );
    const { out } = await kubectl(['get', 'crontab', 'first', '-o', 'json']);
    const found = JSON.parse(out) as { spec: object; metadata: { generation: number } };
    expect(found.spec).toEqual({
      cronSpec: '* * * * *',
      image: 'example.com/cron',
      replicas: 1,
      maxReplicas: 5,
      free: { any: { thing: 1 } },
    });
    expect(found.metadata.generation).toBe(1);
    expect((await kubectl(['get', 'ct'])).out.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['NAME', 'SPEC'],
      ['first', '* * * * *'],
      [''],
    ]);
    expect((await kubectl(['get', 'all'])).out).toContain(`crontab.${group}/first`);
    expect((await kubectl(['explain', 'crontab.spec.cronSpec'])).out).toContain('When it runs.');
  });

  it('refuses what its schema and its rules do not allow', async () => {
    await kubectl(['apply', '-f', '-'], cronTab('checked'));
    const patched = async (spec: object) =>
      (await kubectl(['patch', 'ct', 'checked', '--type=merge', '-p', JSON.stringify({ spec })])).err;
    expect(await patched({ cronSpec: 'no', replicas: 'x' })).toBe(
      [
        'The CronTab "checked" is invalid: ',
        `* spec.cronSpec: Invalid value: "no": spec.cronSpec in body should match '^(\\d+|\\*)(\\s+(\\d+|\\*)){4}$'`,
        '* spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"',
        '* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
        '',
      ].join('\n'),
    );
    expect(await patched({ replicas: 6 })).toBe(
      'The CronTab "checked" is invalid: spec: Invalid value: "object": too many replicas\n',
    );
    const strict = await kubectl(['create', '-f', '-'], cronTab('strict', { unknown: 1 }));
    expect(strict.err).toContain('strict decoding error: unknown field "spec.unknown"');
    const pruned = await kubectl(
      ['create', '--validate=ignore', '-o', 'json', '-f', '-'],
      cronTab('pruned', { unknown: 1 }),
    );
    expect(JSON.parse(pruned.out).spec).not.toHaveProperty('unknown');
  });

  it('has a status and a scale of its own', async () => {
    await kubectl(['apply', '-f', '-'], { ...cronTab('scaled'), status: { replicas: 9 } });
    const get = async () => JSON.parse((await kubectl(['get', 'ct', 'scaled', '-o', 'json'])).out);
    expect(await get()).not.toHaveProperty('status');
    const status = { replicas: 1, selector: 'app=x', conditions: [{ type: 'Ready', status: 'True' }] };
    await kubectl([
      'patch',
      'ct',
      'scaled',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status, spec: { replicas: 4 } }),
    ]);
    expect(await get()).toMatchObject({ spec: { replicas: 1 }, status, metadata: { generation: 1 } });
    expect((await kubectl(['wait', '--for=condition=Ready', 'ct/scaled', '--timeout=5s'])).out).toContain(
      'condition met',
    );
    expect((await kubectl(['scale', 'ct', 'scaled', '--replicas=3'])).out).toContain('scaled');
    expect(await get()).toMatchObject({ spec: { replicas: 3 }, metadata: { generation: 2 } });
    const scale = await kubectl(['get', 'ct', 'scaled', '--subresource=scale', '-o', 'json']);
    expect(JSON.parse(scale.out)).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 3 },
      status: { replicas: 1, selector: 'app=x' },
    });
  });

  it('is applied by several managers, list items by their identity', async () => {
    const apply = (manager: string, tags: string[]) =>
      kubectl(['apply', '--server-side', '--field-manager', manager, '-f', '-'], cronTab('applied', { tags }));
    await apply('one', ['a']);
    await apply('two', ['b']);
    await apply('one', ['c']);
    const { out } = await kubectl(['get', 'ct', 'applied', '-o', 'jsonpath={.spec.tags}']);
    expect((JSON.parse(out) as string[]).sort()).toEqual(['b', 'c']);
  });

  it('is served in all its versions and selected by its fields', async () => {
    await kubectl(['apply', '-f', '-'], cronTab('versions', { image: 'example.com/other' }));
    const older = await kubectl(['get', `crontabs.v1beta1.${group}`, 'versions', '-o', 'json']);
    expect(JSON.parse(older.out)).toMatchObject({ apiVersion: `${group}/v1beta1`, kind: 'CronTab' });
    expect(older.err).toContain(`${group}/v1beta1 CronTab is deprecated`);
    const selected = await kubectl(['get', 'ct', '--field-selector=spec.image=example.com/other', '-o', 'name']);
    expect(selected.out).toBe(`crontab.${group}/versions\n`);
    expect((await kubectl(['get', 'ct', '--field-selector=spec.cronSpec=x'])).err).toContain(
      'field label not supported: spec.cronSpec',
    );
  });

  it('is open to those whom a role lets in', async () => {
    await kubectl(['create', 'role', 'reader', '--verb=get,list', `--resource=crontabs.${group}`]);
    await kubectl(['create', 'rolebinding', 'reader', '--role=reader', '--user=jane']);
    const jane = await plane.issue('jane', []);
    await waitFor(
      'the role',
      async () => (await kubectl(['auth', 'can-i', 'list', 'ct', '--as=jane'])).out === 'yes\n',
    );
    expect((await kubectl(['get', 'ct', '-o', 'name'], undefined, jane)).out).toContain('/first');
    expect((await kubectl(['delete', 'ct', 'first'], undefined, jane)).err).toContain(
      `crontabs.${group} "first" is forbidden: User "jane" cannot delete resource "crontabs" in API group "${group}" in the namespace "default"`,
    );
  });

  it('takes what it owns with it, and goes with its namespace', async () => {
    const { out } = await kubectl(['create', '-o', 'jsonpath={.metadata.uid}', '-f', '-'], cronTab('owner'));
    const owner = { apiVersion: `${group}/v1`, kind: 'CronTab', name: 'owner', uid: out };
    await kubectl(['apply', '-f', '-'], {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'owned', ownerReferences: [owner] },
    });
    await kubectl(['delete', 'ct', 'owner']);
    await waitFor('the owned object to go', async () =>
      (await kubectl(['get', 'cm', 'owned'])).err.includes('NotFound'),
    );
    await kubectl(['create', 'namespace', 'short']);
    await kubectl(['create', '-f', '-'], cronTab('inside', {}, { namespace: 'short' }));
    await kubectl(['delete', 'namespace', 'short', '--timeout=60s']);
    expect((await kubectl(['get', 'ct', '-A', '-o', 'name'])).out).not.toContain('inside');
  });

  it('is there again when the server starts again', async () => {
    await kubectl(['apply', '-f', '-'], cronTab('kept'));
    await plane.restart('apiserver');
    expect((await kubectl(['get', 'ct', 'kept', '-o', 'jsonpath={.spec.replicas}'])).out).toBe('1');
  });
});

describe('a definition', () => {
  it('whose names are taken waits until they are free', async () => {
    await define(definition('gauges', 'Gauge', ['gg']));
    await kubectl(['apply', '-f', '-'], definition('gaugers', 'Gauge', []));
    const condition = async () =>
      (
        await kubectl([
          'get',
          'crd',
          `gaugers.${group}`,
          '-o',
          'jsonpath={.status.conditions[?(@.type=="NamesAccepted")].reason}',
        ])
      ).out;
    await waitFor('the conflict', async () => (await condition()) === 'ListKindConflict');
    await kubectl(['delete', 'crd', `gauges.${group}`]);
    await waitFor('the names', async () => (await condition()) === 'NoConflicts');
    await kubectl(['delete', 'crd', `gaugers.${group}`]);
  });

  it('that gets a default gives it to the objects that are there', async () => {
    const given = definition('growing', 'Growing', []);
    await define(given);
    await kubectl(['create', '-f', '-'], { ...cronTab('early'), kind: 'Growing' });
    expect((await kubectl(['get', 'growing', 'early', '-o', 'jsonpath={.kind}{.extra}'])).out).toBe('Growing');
    const grown = structuredClone(given) as ReturnType<typeof definition>;
    for (const version of grown.spec.versions)
      Object.assign(version.schema.openAPIV3Schema.properties, { extra: { type: 'string', default: 'new' } });
    await kubectl(['apply', '-f', '-'], grown);
    await waitFor(
      'the default',
      async () => (await kubectl(['get', 'growing', 'early', '-o', 'jsonpath={.extra}'])).out === 'new',
    );
    const list = await kubectl(['get', 'growing', '-o', 'jsonpath={.items[*].kind}/{.items[*].extra}']);
    expect(list.out).toBe('Growing/new');
  });

  it('that is no good is refused', async () => {
    const bad = definition('bad', 'Bad', []);
    bad.spec.versions[1]!.storage = true;
    expect((await kubectl(['create', '-f', '-'], bad)).err).toContain(
      'must have exactly one version marked as storage version',
    );
  });

  it('goes after its last object', async () => {
    await define(definition('lasts', 'Last', []));
    const last = (name: string, metadata = {}) => ({ ...cronTab(name, {}, metadata), kind: 'Last' });
    await kubectl(['create', '-f', '-'], last('free'));
    await kubectl(['create', '-f', '-'], last('held', { finalizers: ['example.com/hold'] }));
    await kubectl(['delete', 'crd', `lasts.${group}`, '--wait=false']);
    await waitFor(
      'the free one to go',
      async () => (await kubectl(['get', 'lasts', '-o', 'name'])).out === `last.${group}/held\n`,
    );
    expect((await kubectl(['create', '-f', '-'], last('late'))).err).toContain('MethodNotAllowed');
    await kubectl(['patch', 'last', 'held', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
    await waitFor('the definition to go', async () =>
      (await kubectl(['get', 'crd', `lasts.${group}`])).err.includes('NotFound'),
    );
    expect((await kubectl(['get', '--raw', `/apis/${group}/v1/lasts`])).err).toContain(
      'the server could not find the requested resource',
    );
  });
});
