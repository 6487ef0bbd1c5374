/** What the pods of a node have been given of bundles and tokens: the kubelet renews it by itself, and here that is waited for. */
import { kubeletDir } from '../config/paths.ts';
import { KinitError } from '../errors.ts';
import { type Host, readText } from '../host/host.ts';
import { waitUntil } from '../host/wait.ts';
import { keyId, readTrusted } from './authorities.ts';

const podsFolder = `${kubeletDir}/pods`;
const projected = 'volumes/kubernetes.io~projected';
const waitMs = 240_000;

export interface PodsWanted {
  /** Certificates of the bundle; a file with one of them has to have all. */
  trusted?: string | undefined;
  /** `kid` of tokens of the cluster. */
  tokenKey?: string | undefined;
}

/** Why a file of a projected volume is not yet as it should be; undefined: it is, or is about something else. */
export function staleness(content: string, { trusted, tokenKey }: PodsWanted): string | undefined {
  if (content.startsWith('-----BEGIN CERTIFICATE')) {
    if (trusted === undefined) return undefined;
    const there = new Set(readTrusted(content).map(({ key }) => keyId(key)));
    const wanted = readTrusted(trusted).map(({ key }) => keyId(key));
    const missing = wanted.filter((id) => !there.has(id));
    return missing.length && missing.length < wanted.length ? 'it lacks an authority of the bundle' : undefined;
  }
  const kid = tokenKey === undefined ? undefined : kidOf(content.trim());
  return kid !== undefined && kid !== tokenKey ? 'the token is signed with the old key' : undefined;
}

/** Of a JSON Web Token; undefined for everything else. */
function kidOf(text: string): string | undefined {
  const [header = '', , signature] = text.split('.');
  if (!signature) return undefined;
  try {
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid?: unknown };
    return typeof kid === 'string' ? kid : undefined;
  } catch {
    // Three parts with points between them are not yet a token.
    return undefined;
  }
}

async function staleFiles(host: Host, wanted: PodsWanted): Promise<string[]> {
  const found: string[] = [];
  for (const pod of await host.list(podsFolder)) {
    for (const volume of await host.list(`${podsFolder}/${pod}/${projected}`)) {
      const folder = `${podsFolder}/${pod}/${projected}/${volume}`;
      for (const name of (await host.list(folder)).filter((file) => !file.startsWith('..'))) {
        // The pod may end while it is looked at.
        const content = await readText(host, `${folder}/${name}`).catch(() => undefined);
        const why = content === undefined ? undefined : staleness(content, wanted);
        if (why) found.push(`${folder}/${name}: ${why}`);
      }
    }
  }
  return found;
}

/** @throws KinitError Timeout with the files that are as they were */
export async function waitForPods(host: Host, wanted: PodsWanted, signal: AbortSignal): Promise<void> {
  let stale: string[] = [];
  await waitUntil(
    async () => {
      stale = await staleFiles(host, wanted);
      return stale.length === 0;
    },
    {
      timeoutMs: waitMs,
      intervalMs: 1_000,
      signal,
      failure: () =>
        new KinitError('Timeout', `the volumes of ${stale.length} pods are as they were after ${waitMs / 1000} s`, {
          seen: stale.slice(0, 10).join('\n'),
          advice: 'look at: journalctl -u kubelet -n 50; delete pods that hang, and run the same command again',
        }),
    },
  );
}
