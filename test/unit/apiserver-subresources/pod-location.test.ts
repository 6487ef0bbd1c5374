import { describe, expect, it } from 'vitest';
import { StatusError } from '../../../src/components/apiserver/errors.ts';
import { splitSchemeNamePort } from '../../../src/components/apiserver/subresources/kubelet-connection.ts';
import {
  chooseContainer,
  logPath,
  portForwardPath,
  streamPath,
} from '../../../src/components/apiserver/subresources/pod-location.ts';
import { restOfPath, rewritten } from '../../../src/components/apiserver/subresources/proxy.ts';
import type { Pod } from '../../../src/machinery/api/types.ts';

const pod = (containers: string[], init: string[] = [], nodeName = 'w1'): Pod => ({
  metadata: { name: 'web', namespace: 'shop' },
  spec: { containers: containers.map((name) => ({ name })), initContainers: init.map((name) => ({ name })), nodeName },
});

const messageOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof StatusError) return error.message;
    throw error;
  }
  return '';
};

describe('the way to the kubelet', () => {
  it.each([
    ['', '/containerLogs/shop/web/a'],
    ['follow=true&tailLines=5&timestamps=true', '/containerLogs/shop/web/a?follow=true&tailLines=5&timestamps=true'],
    ['previous=true&sinceSeconds=60', '/containerLogs/shop/web/a?previous=true&sinceSeconds=60'],
    ['follow=false&limitBytes=10', '/containerLogs/shop/web/a?limitBytes=10'],
  ])('logs with %j are at %s', (query, path) => {
    expect(logPath(pod(['a']), new URLSearchParams(query))).toBe(path);
  });

  it('a pod without a node has no log yet, but nothing can be run in it', () => {
    expect(logPath(pod(['a'], [], ''), new URLSearchParams())).toBeUndefined();
    expect(messageOf(() => streamPath('exec', pod(['a'], [], ''), new URLSearchParams('stdout=1')))).toBe(
      'pod web does not have a host assigned',
    );
  });

  it.each([
    [
      'tailLines=-1',
      'PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
    ],
    ['limitBytes=0', 'PodLogOptions "web" is invalid: limitBytes: Invalid value: 0: must be greater than 0'],
  ])('log options %s are refused', (query, message) => {
    expect(messageOf(() => logPath(pod(['a']), new URLSearchParams(query)))).toBe(message);
  });

  it.each<[string[], string[], string, string]>([
    [['a', 'b'], [], '', 'a container name must be specified for pod web, choose one of: [a b]'],
    [
      ['a', 'b'],
      ['i'],
      '',
      'a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [i]',
    ],
    [['a'], [], 'x', 'container x is not valid for pod web'],
  ])('of containers %j and init containers %j, %j is refused', (containers, init, wanted, message) => {
    expect(messageOf(() => chooseContainer(pod(containers, init), wanted))).toBe(message);
  });

  it('exec carries the command and the streams', () => {
    const query = new URLSearchParams('command=sh&command=-c&command=ls -l&stdin=true&stdout=true&tty=true');
    expect(streamPath('exec', pod(['a']), query)).toBe(
      '/exec/shop/web/a?command=sh&command=-c&command=ls+-l&input=1&output=1&tty=1',
    );
    expect(messageOf(() => streamPath('exec', pod(['a']), new URLSearchParams('command=ls')))).toBe(
      'you must specify at least one of stdin, stdout, stderr',
    );
  });

  it('port-forward may name its ports', () => {
    expect(portForwardPath(pod(['a']), new URLSearchParams('ports=80'))).toBe('/portForward/shop/web?port=80');
    expect(portForwardPath(pod(['a']), new URLSearchParams())).toBe('/portForward/shop/web');
  });
});

describe('proxy paths', () => {
  it.each([
    ['web', { scheme: '', name: 'web', port: '' }],
    ['web:80', { scheme: '', name: 'web', port: '80' }],
    ['https:web:443', { scheme: 'https', name: 'web', port: '443' }],
    [':web:http', { scheme: '', name: 'web', port: 'http' }],
    ['https:web:', { scheme: 'https', name: 'web', port: '' }],
  ])('%s is %j', (id, parts) => {
    expect(splitSchemeNamePort(id)).toEqual(parts);
  });

  it('keep what comes after the proxy as the client wrote it', () => {
    expect(restOfPath('/api/v1/namespaces/shop/services/web:80/proxy/a%2Fb/', 7)).toBe('/a%2Fb/');
    expect(restOfPath('/api/v1/nodes/w1/proxy', 5)).toBe('');
    expect(restOfPath('/api/v1/nodes/w1/proxy/metrics', 5)).toBe('/metrics');
  });

  it('a redirect within the target stays behind the proxy, others go out', () => {
    const target = new URL('http://10.0.0.1:80/old');
    expect(rewritten('/new?x=1', target, '/api/v1/p/proxy')).toBe('/api/v1/p/proxy/new?x=1');
    expect(rewritten('https://elsewhere/', target, '/api/v1/p/proxy')).toBe('https://elsewhere/');
  });
});
