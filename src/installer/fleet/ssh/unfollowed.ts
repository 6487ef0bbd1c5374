/** Lines of an SSH configuration that change how a host is reached, or whom one trusts, and that kinit does not follow. */
import type { HostValues } from './config-file.ts';

const isYes = (value: string) => !['no', 'none', 'false', 'off'].includes(value.toLowerCase());
const always = () => true;

/** Keyword in lower case: how it is written, what follows from leaving it out, and for which values that matters. */
const keywords: Record<string, [name: string, consequence: string, matters: (value: string) => boolean]> = {
  addressfamily: ['AddressFamily', 'the first address that answers is taken', (value) => value.toLowerCase() !== 'any'],
  bindaddress: ['BindAddress', 'the system chooses the address to connect from', always],
  bindinterface: ['BindInterface', 'the system chooses the interface to connect from', always],
  canonicalizehostname: ['CanonicalizeHostname', 'names are taken as they are written', isYes],
  ciphers: ['Ciphers', 'the ciphers are negotiated from a list of its own', always],
  hostbasedauthentication: ['HostbasedAuthentication', 'log in with a key, a certificate or a password', isYes],
  hostkeyalgorithms: ['HostKeyAlgorithms', 'the host is asked for the types that are known first', always],
  kexalgorithms: ['KexAlgorithms', 'the key exchange is negotiated from a list of its own', always],
  knownhostscommand: ['KnownHostsCommand', 'host keys are known from files and hostKeys only', isYes],
  macs: ['MACs', 'the check sums are negotiated from a list of its own', always],
  pkcs11provider: ['PKCS11Provider', 'put the token into an SSH agent (ssh-add -s)', isYes],
  proxyusefdpass: ['ProxyUseFdpass', 'the program has to carry the data itself', isYes],
  pubkeyacceptedalgorithms: ['PubkeyAcceptedAlgorithms', 'all keys are offered', always],
  remotecommand: ['RemoteCommand', 'the commands of kinit are run', isYes],
  requiredrsasize: ['RequiredRSASize', 'short RSA keys are taken', always],
  revokedhostkeys: ['RevokedHostKeys', 'put them into known_hosts as @revoked', isYes],
  tag: ['Tag', 'blocks of "Match tagged" do not apply', always],
  verifyhostkeydns: ['VerifyHostKeyDNS', 'host keys are known from files and hostKeys only', isYes],
};

/** One sentence for each. */
export function unfollowed(values: HostValues): string[] {
  return [...values].flatMap(([keyword, words]) => {
    const [name, consequence, matters] = keywords[keyword] ?? [];
    const value = words.join(' ');
    return matters?.(value)
      ? [`kinit does not follow "${name} ${value}" of the SSH configuration: ${consequence}`]
      : [];
  });
}
