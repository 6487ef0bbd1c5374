/** Tokens of pods' service accounts, bound to the pod: asked for with TokenRequest, renewed when 80% of their life or a day has passed. */
import type { Pod, TokenRequest } from '../../../machinery/api/types.ts';
import { serviceAccounts } from '../../../machinery/client/resources.ts';
import type { Client } from '../../../machinery/client/types.ts';

interface Token {
  value: string;
  renewAt: number;
  expiresAt: number;
}

const longestUseMs = 24 * 3_600_000;
const jitterMs = 10_000;

export function createTokens(client: Client | undefined, now: () => number = Date.now) {
  const known = new Map<string, Token>();

  const request = async (pod: Pod, audience: string, expirationSeconds: number): Promise<Token> => {
    if (!client) throw new Error('cannot use TokenManager when kubelet is in standalone mode');
    const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
    const ref = { namespace, name: pod.spec?.serviceAccountName || 'default' };
    const asked = now();
    const answer = await client.resource(serviceAccounts).createSubresource<TokenRequest>(ref, 'token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: audience ? [audience] : [],
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    });
    const value = answer.status?.token;
    if (!value) throw new Error(`the token request for service account ${ref.namespace}/${ref.name} had no token`);
    const expiresAt = Date.parse(answer.status?.expirationTimestamp ?? '');
    const life = answer.spec?.expirationSeconds ?? expirationSeconds;
    const renewAt = Math.min(expiresAt - life * 200, asked + longestUseMs) - Math.random() * jitterMs;
    return { value, renewAt, expiresAt };
  };

  return {
    async token(pod: Pod, audience: string, expirationSeconds: number): Promise<string> {
      const key = JSON.stringify([pod.metadata?.uid, pod.spec?.serviceAccountName, audience, expirationSeconds]);
      const held = known.get(key);
      if (held && now() < held.renewAt) return held.value;
      try {
        const fresh = await request(pod, audience, expirationSeconds);
        known.set(key, fresh);
        return fresh.value;
      } catch (error) {
        // A token that could not be renewed is of use until it expires.
        if (held && now() < held.expiresAt) return held.value;
        throw new Error(`failed to fetch token: ${(error as Error).message}`);
      }
    },
    release(podUid: string) {
      const start = JSON.stringify([podUid]).slice(0, -1);
      for (const key of known.keys()) if (key.startsWith(`${start},`)) known.delete(key);
    },
  };
}
