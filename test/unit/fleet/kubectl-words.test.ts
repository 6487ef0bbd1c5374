import { describe, expect, it } from 'vitest';
import { passOnToKubectl } from '../../../src/cli/kubectl.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { checkTunnelWords } from '../../../src/installer/access/kubectl.ts';

describe('the words of kinit kubectl', () => {
  it.each([
    ['get pods -A', 'get pods -A', 'kubectl -- get pods -A'],
    ['-i f get pods -i x', "kinit's flags stand before", 'kubectl -i f -- get pods -i x'],
    [
      '--inventory=f --limit a exec -it pod -- sh',
      'its own dashes stay',
      'kubectl --inventory=f --limit a -- exec -it pod -- sh',
    ],
    ['-i f -- get pods', 'dashes that are there', 'kubectl -i f -- get pods'],
    ['-n kube-system get pods', "a flag that is kubectl's", 'kubectl -- -n kube-system get pods'],
    ['--accept-host-keys version', 'a flag without a value', 'kubectl --accept-host-keys -- version'],
    ['--help', 'help is that of kinit', 'kubectl --help'],
  ])('%s: %s', (words, _what, expected) => {
    expect(passOnToKubectl(buildProgram(), `kubectl ${words}`.split(' ')).join(' ')).toBe(expected);
  });

  it('of other commands stay what they are', () => {
    expect(passOnToKubectl(buildProgram(), ['init', 'kubectl'])).toEqual(['init', 'kubectl']);
  });

  it.each([
    ['get pods --server https://a', '--server'],
    ['--kubeconfig=a get pods', '--kubeconfig=a'],
    ['get -s a pods', '-s'],
  ])('must not lead elsewhere: %s', (words, named) => {
    expect(() => checkTunnelWords(words.split(' '))).toThrow(`${named} is not for use with --inventory`);
  });

  it('for a program in a pod may be any', () => {
    expect(() => checkTunnelWords('exec pod -- curl -s a'.split(' '))).not.toThrow();
  });
});
