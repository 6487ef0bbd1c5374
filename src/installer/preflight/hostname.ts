/** The name of the node. */
import { isDnsSubdomain } from '../config/validate.ts';
import { readText } from '../host/host.ts';
import { hasEntry } from '../host/hosts-file.ts';
import { type Check, error, type Finding, warning } from './check.ts';

export const hostname: Check = async ({ host, nodeName }) => {
  const findings: Finding[] = [];
  if (!isDnsSubdomain(nodeName)) {
    findings.push(error('Hostname', `the node's name "${nodeName}" is not a DNS name`, 'give one with --node-name'));
  }
  if (nodeName === 'localhost' || nodeName.startsWith('localhost.')) {
    findings.push(
      error('Hostname', `"${nodeName}" cannot be the name of a node`, 'set a hostname, or give --node-name'),
    );
  }
  const hosts = (await readText(host, '/etc/hosts')) ?? '';
  if (!hasEntry(hosts, nodeName)) {
    const found = await host.run('getent', ['ahosts', nodeName], { observe: true, timeoutMs: 5000 });
    if (found.exitCode !== 0) {
      findings.push(
        warning('Hostname', `the name "${nodeName}" does not resolve; an entry in /etc/hosts will be added`),
      );
    }
  }
  return findings;
};
