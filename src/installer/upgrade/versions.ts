/** Versions of Kubernetes, and from which to which a cluster may go: kubeadm's rules. */
import { error, type Finding } from '../preflight/check.ts';

export interface Version {
  major: number;
  minor: number;
  patch: number;
  /** `rc.1` as `['rc', '1']`; empty for a release. */
  prerelease: string[];
}

/** `v1.36.2`, with or without `v`; undefined: it is no version. */
export function parseVersion(text: string): Version | undefined {
  const match = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text.trim());
  if (!match) return undefined;
  const [, major, minor, patch, prerelease] = match;
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    prerelease: prerelease ? prerelease.split('.') : [],
  };
}

function comparePart(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  const [left, right] = [Number(a), Number(b)];
  const [isLeft, isRight] = [Number.isInteger(left), Number.isInteger(right)];
  if (isLeft && isRight) return left - right;
  // Numbers come before words (SemVer 2.0, section 11).
  return isLeft !== isRight ? (isLeft ? -1 : 1) : a < b ? -1 : a > b ? 1 : 0;
}

/** Negative: `a` is the older one. */
export function compareVersions(a: Version, b: Version): number {
  const order = a.major - b.major || a.minor - b.minor || a.patch - b.patch;
  if (order) return order;
  const [left, right] = [a.prerelease, b.prerelease];
  if (!left.length || !right.length) return Number(right.length > 0) - Number(left.length > 0);
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const part = comparePart(left[at], right[at]);
    if (part) return part;
  }
  return 0;
}

/** A cluster in use has versions; what cannot be read counts as none. */
const versionsOf = (texts: readonly string[]): Version[] => texts.flatMap((text) => parseVersion(text) ?? []);

const minors = (newer: Version, older: Version) =>
  newer.major === older.major ? newer.minor - older.minor : (newer.major - older.major) * 1000;

/** The oldest kubelet that an API server works with is this many minor versions older. */
export const kubeletMinors = 3;

export interface VersionSituation {
  /** What the cluster is now: of the ConfigMap kubeadm-config. */
  cluster: string;
  /** What it shall become. */
  target: string;
  /** Of the API servers that run. */
  apiServers: readonly string[];
  /** Of the nodes. */
  kubelets: readonly string[];
  allowExperimental?: boolean;
  allowReleaseCandidate?: boolean;
}

const check = 'Version';

/**
 * What stands against an upgrade. Findings of the check `VersionSkew` can be passed over with `--force`; the others cannot.
 * The rules and their order are kubeadm's.
 */
export function versionFindings(situation: VersionSituation): Finding[] {
  const { cluster, target, apiServers, kubelets, allowExperimental, allowReleaseCandidate } = situation;
  const [from, to] = [parseVersion(cluster), parseVersion(target)];
  if (!from)
    return [
      error(
        check,
        `the cluster's version "${cluster}" is no version`,
        'look at: kubectl -n kube-system get configmap kubeadm-config -o yaml',
      ),
    ];
  if (!to) return [error(check, `"${target}" is no version`, 'a version looks like v1.36.2')];
  const findings: Finding[] = [];
  if (minors(to, from) > 1) {
    findings.push(
      error(
        check,
        `specified version to upgrade to "${target}" is too high; the cluster is ${cluster}, and an upgrade goes one minor version at a time`,
        `upgrade to v${from.major}.${from.minor + 1} first`,
      ),
    );
  }
  if (minors(to, from) < 0) {
    findings.push(
      error(
        check,
        `specified version to upgrade to "${target}" is too low; the cluster is ${cluster}, and what a newer minor version has stored an older one may not read`,
        'restore a snapshot of etcd that was taken before: kinit etcd restore',
      ),
    );
  } else if (compareVersions(to, from) < 0) {
    findings.push(
      error(
        'VersionSkew',
        `"${target}" is older than the cluster, which is ${cluster}`,
        '--force goes back all the same',
      ),
    );
  }
  const behind = versionsOf(apiServers).filter((version) => minors(to, version) > 1);
  if (behind.length) {
    findings.push(
      error(
        check,
        'there are API servers that an earlier upgrade has not reached: control planes may be one minor version apart',
        'finish that upgrade first: kinit upgrade node on the other control planes, with the bundle of that version',
      ),
    );
  }
  const old = kubelets.filter((text) => versionsOf([text]).some((version) => minors(to, version) > kubeletMinors));
  if (old.length) {
    findings.push(
      error(
        'VersionSkew',
        `there are kubelets in this cluster that are too old that have these versions ${[...new Set(old)].join(', ')}`,
        `upgrade these nodes first: a kubelet may be ${kubeletMinors} minor versions older than the API server`,
      ),
    );
  }
  const newer = kubelets.filter((text) => versionsOf([text]).some((version) => minors(version, to) > 0));
  if (newer.length) {
    findings.push(
      error(
        'VersionSkew',
        `there are kubelets in this cluster that are newer than ${target}: ${[...new Set(newer)].join(', ')}`,
        'a kubelet may not be newer than the API server',
      ),
    );
  }
  findings.push(...unstable(to, target, allowExperimental, allowReleaseCandidate));
  return findings;
}

function unstable({ prerelease }: Version, target: string, experimental = false, candidate = false): Finding[] {
  const [word = ''] = prerelease;
  if (!word || experimental || (word === 'rc' && candidate)) return [];
  const flag = word === 'rc' ? '--allow-release-candidate-upgrades' : '--allow-experimental-upgrades';
  return [
    error('VersionSkew', `specified version to upgrade to "${target}" is an unstable version`, `allow it with ${flag}`),
  ];
}
