/** What the ports of a control plane and a worker speak: TLS 1.2 and newer, and nothing without it. */
import { describe, expect, it } from 'vitest';
import { hosts, onHost } from '../harness.ts';

const speaking = [
  ['kube-apiserver', 'cp1', 6443],
  ['kubelet', 'cp1', 10250],
  ['kubelet of a worker', 'w1', 10250],
  ['etcd, for clients', 'cp1', 2379],
  ['etcd, for members', 'cp1', 2380],
  ['kube-controller-manager', 'cp1', 10257],
  ['kube-scheduler', 'cp1', 10259],
] as const;

/** The version that openssl agrees upon with a port of the host, when it offers just one. */
async function handshake(host: string, port: number, version: string): Promise<string> {
  // Old versions are off in openssl itself unless it is told to be careless.
  const address = port === 2380 ? hosts().find(({ name }) => name === host)?.ip : '127.0.0.1';
  const words = `-connect ${address}:${port} -${version} -cipher DEFAULT@SECLEVEL=0`;
  const output = await onHost(host, `timeout 10 openssl s_client ${words} </dev/null 2>&1 || true`);
  return (
    /^New, (TLSv[\d.]+), Cipher is/m.exec(output)?.[1] ??
    /alert protocol version|alert handshake failure|unexpected eof/i.exec(output)?.[0] ??
    output
  );
}

export function openPorts(): void {
  describe('the ports of hosts', () => {
    it.each(speaking)('%s speaks TLS 1.2 and 1.3, and nothing older', async (_name, host, port) => {
      expect(await handshake(host, port, 'tls1_3')).toBe('TLSv1.3');
      expect(await handshake(host, port, 'tls1_2')).toBe('TLSv1.2');
      for (const old of ['tls1_1', 'tls1']) expect(await handshake(host, port, old)).toMatch(/alert|eof/i);
    });

    it('have no read-only kubelet, and no health that others may ask', async () => {
      const listening = await onHost('w1', 'ss -Hltn');
      expect(listening).not.toMatch(/:10255\s/);
      expect(listening).toMatch(/127\.0\.0\.1:10248\s/);
      expect(listening).not.toMatch(/(\*|0\.0\.0\.0|\[::\]):10248\s/);
      expect(await onHost('cp1', 'ss -Hltn')).not.toMatch(/(\*|0\.0\.0\.0|\[::\]):(10257|10259|2381|10248)\s/);
    });
  });
}
