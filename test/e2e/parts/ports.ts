/** What the ports of a control plane and a worker speak: TLS 1.2 and newer, and nothing without it. */
import { describe, expect, it } from 'vitest';
import { hosts, onHost } from '../harness.ts';

const versions = ['tls1_3', 'tls1_2', 'tls1_1', 'tls1'];
const agreed = ['TLSv1.3', 'TLSv1.2', 'refused', 'refused'];

/** What openssl agrees upon with each of these places, when it offers just one version. */
async function handshakes(host: string, places: readonly string[]): Promise<Record<string, string[]>> {
  // Old versions are off in openssl itself unless it is told to be careless.
  const output = await onHost(
    host,
    `for place in ${places.join(' ')}; do for version in ${versions.join(' ')}; do
       echo "== $place"
       timeout 10 openssl s_client -connect $place -$version -cipher DEFAULT@SECLEVEL=0 </dev/null 2>&1
     done; done; true`,
  );
  const found: Record<string, string[]> = {};
  for (const part of output.split('== ').slice(1)) {
    const [place = ''] = part.split('\n');
    const words = /^New, (TLSv[\d.]+), Cipher is/m.exec(part)?.[1] ?? refusal.exec(part)?.[0].replace(/.*/, 'refused');
    found[place] = [...(found[place] ?? []), words ?? part];
  }
  return found;
}
/** By the other side, not for want of a connection. */
const refusal = /alert protocol version|alert handshake failure|unexpected eof/i;

const all = (places: readonly string[]) => Object.fromEntries(places.map((place) => [place, agreed]));

export function openPorts(): void {
  describe('the ports of hosts', () => {
    it('speak TLS 1.2 and 1.3, and nothing older', async () => {
      const own = hosts().find(({ name }) => name === 'cp1')?.ip;
      // API server, kubelet, etcd for clients and for members, controller-manager, scheduler.
      const ofControlPlane = [6443, 10250, 2379, 10257, 10259].map((port) => `127.0.0.1:${port}`).concat(`${own}:2380`);
      expect(await handshakes('cp1', ofControlPlane)).toEqual(all(ofControlPlane));
      expect(await handshakes('w1', ['127.0.0.1:10250'])).toEqual(all(['127.0.0.1:10250']));
    }, 60_000);

    it('have no read-only kubelet, and no health that others may ask', async () => {
      const listening = await onHost('w1', 'ss -Hltn');
      expect(listening).not.toMatch(/:10255\s/);
      expect(listening).toMatch(/127\.0\.0\.1:10248\s/);
      expect(listening).not.toMatch(/(\*|0\.0\.0\.0|\[::\]):10248\s/);
      expect(await onHost('cp1', 'ss -Hltn')).not.toMatch(/(\*|0\.0\.0\.0|\[::\]):(10257|10259|2381|10248)\s/);
    });
  });
}
