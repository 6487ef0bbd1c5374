/** The architectures that a bundle can be built for, and what each calls its things. */
import { KinitError } from '../errors.ts';

export interface Architecture {
  /** As Debian, OCI images and Kubernetes call it. */
  debian: 'amd64' | 'arm64';
  triplet: string;
  loader: string;
  /** Where programs look for the loader. */
  loaderPath: string;
  /** As `uname -m` and Node call it. */
  machine: string;
  node: string;
  /** e_machine of ELF files. */
  elf: number;
}

export const architectures: readonly Architecture[] = [
  {
    debian: 'amd64',
    triplet: 'x86_64-linux-gnu',
    loader: 'ld-linux-x86-64.so.2',
    loaderPath: 'usr/lib64/ld-linux-x86-64.so.2',
    machine: 'x86_64',
    node: 'x64',
    elf: 0x3e,
  },
  {
    debian: 'arm64',
    triplet: 'aarch64-linux-gnu',
    loader: 'ld-linux-aarch64.so.1',
    loaderPath: 'usr/lib/ld-linux-aarch64.so.1',
    machine: 'aarch64',
    node: 'arm64',
    elf: 0xb7,
  },
];

/** @throws KinitError Usage when no bundle can be built for it */
export function architectureNamed(name: string): Architecture {
  const found = architectures.find(({ debian }) => debian === name);
  if (found) return found;
  throw new KinitError('Usage', `there is no architecture "${name}"`, {
    advice: `take one of ${architectures.map(({ debian }) => debian).join(', ')}`,
  });
}

/** That of a host, by what `uname -m` says there. */
export const architectureOfMachine = (machine: string): Architecture | undefined =>
  architectures.find((each) => each.machine === machine);

/** That of this process. */
export function ownArchitecture(): Architecture {
  const found = architectures.find(({ node }) => node === process.arch);
  if (found) return found;
  throw new KinitError('Bundle', `kinit has no bundle for ${process.arch}`, {
    advice: `take a machine that is ${architectures.map(({ debian }) => debian).join(' or ')}`,
  });
}
