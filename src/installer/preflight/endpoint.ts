/** The name under which all nodes reach the API server. */
import { connect, isIP } from 'node:net';
import { joinHostPort } from '../config/cidr.ts';
import { interfaceAddresses } from '../host/facts.ts';
import { type Check, error, type Finding, isOwnNode, warning } from './check.ts';

const patienceMs = 1500;

export interface Reached {
  address: string;
  /** `open`, `refused` (the host answers, nothing listens yet), or why there was no answer. */
  answer: string;
}

/** @param own addresses of this host */
export function judgeEndpoint(
  host: string,
  port: number,
  reached: readonly Reached[],
  own: readonly string[],
): Finding[] {
  const check = 'ControlPlaneEndpoint';
  const endpoint = joinHostPort(host, port);
  if (!reached.length) {
    const advice = `make a DNS record for ${host}, or an entry in /etc/hosts of all hosts`;
    return [error(check, `the name ${host} of the endpoint ${endpoint} does not resolve on this host`, advice)];
  }
  if (reached.some(({ address, answer }) => own.includes(address) || answer === 'open' || answer === 'refused'))
    return [];
  const seen = reached.map(({ address, answer }) => `${address}: ${answer}`).join(', ');
  const advice = 'check the load balancer, its address, and firewalls on the way';
  return [warning(check, `the endpoint ${endpoint} is neither this host nor can be reached from it (${seen})`, advice)];
}

/** Whether anything answers at a port. */
export function tryPort(address: string, port: number, timeoutMs = patienceMs): Promise<Reached> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (answer: string) => {
      socket.destroy();
      resolve({ address, answer });
    };
    socket.setTimeout(timeoutMs, () => end('no answer'));
    socket.once('connect', () => end('open'));
    socket.once('error', (failure: NodeJS.ErrnoException) =>
      end(failure.code === 'ECONNREFUSED' ? 'refused' : (failure.code ?? failure.message)),
    );
  });
}

/** init only: a host that joins has to find its cluster at the endpoint anyway. */
export const controlPlaneEndpoint: Check = async ({ host, command, endpoint, virtualIP }) => {
  const { host: name, port } = endpoint;
  if (!name || (command === 'join' && isIP(name))) return [];
  const addresses = isIP(name) ? [name] : await resolve(host, name);
  // It is nobody's as yet: see the check VirtualIP.
  if (virtualIP && addresses.includes(virtualIP)) return [];
  const own = interfaceAddresses();
  if (command === 'join' || addresses.some((address) => own.includes(address))) {
    return judgeEndpoint(
      name,
      port,
      addresses.map((address) => ({ address, answer: 'open' })),
      own,
    );
  }
  return judgeEndpoint(name, port, await Promise.all(addresses.map((address) => tryPort(address, port))), own);
};

/** The address must be free when the first control plane is made. */
export const virtualIp: Check = async (context) => {
  const { virtualIP, bindPort } = context;
  if (!virtualIP || isOwnNode(context)) return [];
  const check = 'VirtualIP';
  const advice = 'give an address of the same network that no machine has';
  if (interfaceAddresses().includes(virtualIP))
    return [error(check, `${virtualIP} is an address of this host`, advice)];
  const { answer } = await tryPort(virtualIP, bindPort);
  return ['open', 'refused'].includes(answer) ? [error(check, `another machine has ${virtualIP}`, advice)] : [];
};

/** As other programs on this host resolve it: /etc/hosts counts. */
async function resolve(host: Parameters<Check>[0]['host'], name: string): Promise<string[]> {
  const { stdout, exitCode } = await host.run('getent', ['ahosts', name], { observe: true, timeoutMs: 10_000 });
  return exitCode === 0 ? [...new Set(stdout.split('\n').flatMap((line) => line.split(/\s+/)[0] || []))] : [];
}
