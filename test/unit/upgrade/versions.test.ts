/** From which version to which a cluster may go. */
import { describe, expect, it } from 'vitest';
import { compareVersions, parseVersion, versionFindings } from '../../../src/installer/upgrade/versions.ts';

const order = [
  'v1.35.9',
  'v1.36.0-alpha.2',
  'v1.36.0-alpha.10',
  'v1.36.0-beta.0',
  'v1.36.0-rc.1',
  'v1.36.0',
  'v1.36.2',
  'v1.36.10',
  'v1.37.0',
];

describe('versions', () => {
  it('are in the order of SemVer', () => {
    const sorted = order.toReversed().sort((a, b) => compareVersions(parseVersion(a)!, parseVersion(b)!));
    expect(sorted).toEqual(order);
    expect(compareVersions(parseVersion('1.36.2')!, parseVersion('v1.36.2+build.7')!)).toBe(0);
  });

  it.each(['', 'v1.36', 'latest', 'v1.36.x', '1.36.2.3'])('are not "%s"', (text) => {
    expect(parseVersion(text)).toBeUndefined();
  });
});

interface Case {
  name: string;
  cluster?: string;
  target: string;
  apiServers?: string[];
  kubelets?: string[];
  allow?: 'experimental' | 'candidate';
  /** Checks and the words of their messages. */
  findings: [string, RegExp][];
}

const cases: Case[] = [
  { name: 'the next patch', target: 'v1.36.3', findings: [] },
  { name: 'the same version again', target: 'v1.36.2', findings: [] },
  { name: 'the next minor version', target: 'v1.37.0', findings: [] },
  {
    name: 'two minor versions at once',
    target: 'v1.38.0',
    findings: [
      ['Version', /too high/],
      ['Version', /API servers that an earlier upgrade/],
    ],
  },
  { name: 'an older patch', target: 'v1.36.1', findings: [['VersionSkew', /older than the cluster/]] },
  { name: 'an older minor version', target: 'v1.35.9', kubelets: ['v1.35.0'], findings: [['Version', /too low/]] },
  { name: 'no version', target: 'newest', findings: [['Version', /is no version/]] },
  {
    name: 'a cluster without a version',
    cluster: '',
    target: 'v1.36.3',
    findings: [['Version', /the cluster's version ""/]],
  },
  { name: 'kubelets three minor versions behind', target: 'v1.36.3', kubelets: ['v1.33.0'], findings: [] },
  {
    name: 'kubelets four minor versions behind',
    target: 'v1.36.3',
    kubelets: ['v1.32.5', 'v1.36.2', 'v1.32.5'],
    findings: [['VersionSkew', /too old that have these versions v1\.32\.5$/]],
  },
  {
    name: 'a kubelet that is newer',
    target: 'v1.36.3',
    kubelets: ['v1.37.1'],
    findings: [['VersionSkew', /newer than v1\.36\.3: v1\.37\.1/]],
  },
  {
    name: 'an API server left behind by an earlier upgrade',
    cluster: 'v1.37.0',
    target: 'v1.38.0',
    apiServers: ['v1.37.0', 'v1.36.2'],
    findings: [['Version', /earlier upgrade/]],
  },
  { name: 'a release candidate', target: 'v1.37.0-rc.0', findings: [['VersionSkew', /unstable/]] },
  { name: 'a release candidate that is allowed', target: 'v1.37.0-rc.0', allow: 'candidate', findings: [] },
  {
    name: 'an alpha where candidates are allowed',
    target: 'v1.37.0-alpha.1',
    allow: 'candidate',
    findings: [['VersionSkew', /unstable/]],
  },
  { name: 'an alpha that is allowed', target: 'v1.37.0-alpha.1', allow: 'experimental', findings: [] },
];

describe('an upgrade', () => {
  it.each(cases)(
    'to $name: $target',
    ({ cluster = 'v1.36.2', target, apiServers = ['v1.36.2'], kubelets = ['v1.36.2'], allow, findings }) => {
      const found = versionFindings({
        cluster,
        target,
        apiServers,
        kubelets,
        allowExperimental: allow === 'experimental',
        allowReleaseCandidate: allow === 'candidate',
      });
      expect(found.map(({ check, message }) => [check, message])).toEqual(
        findings.map(([check, words]) => [check, expect.stringMatching(words)]),
      );
      expect(found.every(({ level, advice }) => level === 'error' && advice)).toBe(true);
    },
  );
});
