import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { plainLines, probeUrl } from '../../../src/installer/health/components.ts';
import { kubeletDocument } from '../../../src/installer/health/observe-host.ts';
import { scratchHost, scratchRoot } from '../installer/scratch.ts';

const root = scratchRoot();
const host = scratchHost(root);
afterAll(() => rmSync(root, { recursive: true }));

describe("the kubelet's configuration", () => {
  test('may be missing, empty or broken on a host that is ill', async () => {
    expect(await kubeletDocument(host)).toEqual({});
    mkdirSync(join(root, 'var/lib/kubelet'), { recursive: true });
    for (const [text, expected] of [
      ['', {}],
      ['cgroupDriver: [', {}],
      ['cgroupDriver: systemd\n', { cgroupDriver: 'systemd' }],
    ] as const) {
      writeFileSync(join(root, 'var/lib/kubelet/config.yaml'), text);
      expect(await kubeletDocument(host)).toEqual(expected);
    }
  });
});

describe('a probe of a static pod', () => {
  test.each([
    [
      { httpGet: { host: '127.0.0.1', path: '/livez', port: 'probe-port', scheme: 'HTTPS' } },
      'https://127.0.0.1:10259/livez',
    ],
    [{ httpGet: { path: '/health', port: 2381 } }, 'http://127.0.0.1:2381/health'],
    [{ httpGet: { path: '/health', port: 'unknown' } }, undefined],
    [{ exec: { command: ['true'] } }, undefined],
    [undefined, undefined],
  ])('%o asks %s', (probe, expected) => {
    expect(probeUrl(probe as never, [{ name: 'probe-port', containerPort: 10259 }])).toBe(expected);
  });
});

describe('the last lines of a log', () => {
  test('are told in words', () => {
    const log = [
      '2026-01-01T00:00:00.1Z stderr F flag provided but not defined',
      '2026-01-01T00:00:00.2Z stderr F {"level":"error","time":"T","msg":"no etcd"}',
      '2026-01-01T00:00:00.3Z stderr F {"level":"fatal","ts":"T","msg":"failed to commit","error":"no space left"}',
      '{"cut off',
      '',
    ].join('\n');
    expect(plainLines(log)).toEqual([
      'flag provided but not defined',
      'T error no etcd',
      'T fatal failed to commit no space left',
      '{"cut off',
    ]);
    expect(plainLines(log, 1)).toEqual(['{"cut off']);
  });
});
