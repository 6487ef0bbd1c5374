/** What kinit init says at the end. */
import { expect, it } from 'vitest';
import { closingText, withheld } from '../../../src/cli/init.ts';

const text = closingText(
  'kinit join a:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:00',
  'c0ffee',
);

it.each([
  [{}, ['abcdef.0123456789abcdef', 'c0ffee'], []],
  [{ skipTokenPrint: true }, ['--token <value withheld>', 'c0ffee', 'sha256:00'], ['abcdef.']],
  [{ skipCertificateKeyPrint: true }, ['abcdef.', '--certificate-key <value withheld>'], ['c0ffee']],
])('with %j says %j and not %j', (flags, said, unsaid) => {
  const words = withheld(flags, text);
  for (const part of said) expect(words).toContain(part);
  for (const part of unsaid) expect(words).not.toContain(part);
});
