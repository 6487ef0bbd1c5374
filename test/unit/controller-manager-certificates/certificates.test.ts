import { createPrivateKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import { describe, expect, test } from 'vitest';
import { isOver } from '../../../src/components/controller-manager/certificates/cleaner.ts';
import {
  bitString,
  der,
  octets,
  oid,
  sequence,
  tags,
} from '../../../src/components/controller-manager/certificates/der.ts';
import { issue, loadAuthority, ttlOf } from '../../../src/components/controller-manager/certificates/issue.ts';
import { type ParsedRequest, parseRequest } from '../../../src/components/controller-manager/certificates/request.ts';
import { signerRules } from '../../../src/components/controller-manager/certificates/signers.ts';
import { pem } from '../../../src/machinery/api/pem.ts';
import { selfSignedCertificate } from '../../../src/machinery/serving/self-signed.ts';

const hour = 3_600_000;

/** A request made by an independent implementation, with an RSA key. */
function rsaRequest(): string {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const request = forge.pki.createCertificationRequest();
  request.publicKey = forge.pki.publicKeyFromPem(publicKey.export({ type: 'spki', format: 'pem' }).toString());
  request.setSubject([
    { shortName: 'O', value: 'system:nodes' },
    { shortName: 'CN', value: 'system:node:n1' },
  ]);
  const altNames = [
    { type: 2, value: 'n1' },
    { type: 7, ip: '10.0.0.1' },
  ];
  request.setAttributes([{ name: 'extensionRequest', extensions: [{ name: 'subjectAltName', altNames }] }]);
  const key = forge.pki.privateKeyFromPem(privateKey.export({ type: 'pkcs1', format: 'pem' }).toString());
  request.sign(key, forge.md.sha256.create());
  return forge.pki.certificationRequestToPem(request);
}

function ecRequest(signedWith?: string): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = (id: string, value: string) => der(tags.set, sequence(oid(id), der(0x0c, Buffer.from(value))));
  const info = sequence(
    der(tags.integer, Buffer.from([0])),
    sequence(name('2.5.4.10', 'system:nodes'), name('2.5.4.3', 'system:node:n2')),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa0),
  );
  const key = signedWith ? createPrivateKey(signedWith) : privateKey;
  const body = sequence(info, sequence(oid('1.2.840.10045.4.3.2')), bitString(sign('sha256', info, key)));
  return pem('CERTIFICATE REQUEST', body);
}

describe('certificate requests', () => {
  test('tell subject and names', () => {
    expect(parseRequest(rsaRequest())).toMatchObject({
      commonName: 'system:node:n1',
      organizations: ['system:nodes'],
      dnsNames: ['n1'],
      ipAddresses: ['10.0.0.1'],
    });
    expect(parseRequest(ecRequest())).toMatchObject({ commonName: 'system:node:n2', dnsNames: [], ipAddresses: [] });
  });

  test('that are signed with another key, or are none, are refused', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const foreign = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(() => parseRequest(ecRequest(foreign))).toThrow('the signature of the request does not fit its key');
    expect(() => parseRequest('hello')).toThrow('PEM block type must be CERTIFICATE REQUEST');
    expect(() => parseRequest(pem('CERTIFICATE REQUEST', octets(Buffer.alloc(3))))).toThrow();
  });
});

describe('issued certificates', () => {
  const ca = selfSignedCertificate('test-ca', []);
  const authority = loadAuthority(ca.cert, ca.key);
  const now = new Date();

  test.each([
    ['RSA', rsaRequest()],
    ['ECDSA', ecRequest()],
  ])('for an %s key are signed by the authority and valid for what was asked', (_kind, text) => {
    const request = parseRequest(text);
    const usages = ['digital signature', 'key encipherment', 'client auth'];
    const certificate = new X509Certificate(issue(request, authority, { usages, ttlMs: hour, now }));
    expect(certificate.verify(authority.certificate.publicKey)).toBe(true);
    expect(certificate.checkIssued(authority.certificate)).toBe(true);
    expect(certificate.subject).toBe(`O=system:nodes\nCN=${request.commonName}`);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(certificate.ca).toBe(false);
    const validMs = Date.parse(certificate.validTo) - Date.parse(certificate.validFrom);
    expect(validMs).toBe(hour + 5 * 60_000);
    expect(certificate.subjectAltName).toBe(request.dnsNames.length ? 'DNS:n1, IP Address:10.0.0.1' : undefined);
  });

  test('do not outlive their authority', () => {
    const text = issue(parseRequest(ecRequest()), authority, { usages: ['client auth'], ttlMs: 9e12, now });
    expect(new X509Certificate(text).validTo).toBe(authority.certificate.validTo);
  });

  test('are not made for usages that nobody knows', () => {
    const make = () => issue(parseRequest(ecRequest()), authority, { usages: ['world peace'], ttlMs: hour, now });
    expect(make).toThrow('unrecognized usage values: ["world peace"]');
  });

  test.each([
    [undefined, 24 * hour, 24 * hour],
    [3600, 24 * hour, hour],
    [1, 24 * hour, 600_000],
    [1_000_000_000, 24 * hour, 24 * hour],
  ])('expirationSeconds %s of at most %s ms gives %s ms', (seconds, longest, expected) => {
    expect(ttlOf(seconds, longest)).toBe(expected);
  });
});

describe('signers', () => {
  const node: ParsedRequest = {
    commonName: 'system:node:n1',
    organizations: ['system:nodes'],
    dnsNames: [],
    ipAddresses: [],
    emailAddresses: [],
    uris: [],
    subject: Buffer.alloc(0),
    publicKeyInfo: Buffer.alloc(0),
    alternativeNames: undefined,
  };
  const client = ['digital signature', 'client auth'];
  const serving = ['digital signature', 'key encipherment', 'server auth'];
  test.each([
    ['kubelet-client', {}, client, undefined],
    ['kubelet-client', {}, [...client, 'key encipherment'], undefined],
    ['kubelet-client', { organizations: ['system:masters'] }, client, 'subject organization is not system:nodes'],
    ['kubelet-client', { commonName: 'admin' }, client, 'subject common name does not begin with system:node:'],
    ['kubelet-client', { dnsNames: ['a'] }, client, 'DNS subjectAltNames are not allowed'],
    ['kubelet-client', {}, serving, 'usages did not match [client auth digital signature key encipherment]'],
    ['kubelet-serving', { ipAddresses: ['10.0.0.1'] }, serving, undefined],
    ['kubelet-serving', {}, serving, 'at least one DNS or IP subjectAltName is required'],
    ['kubelet-serving', { dnsNames: ['a'], uris: ['spiffe://a'] }, serving, 'URI subjectAltNames are not allowed'],
    ['kube-apiserver-client', { commonName: 'anybody' }, client, undefined],
    ['kube-apiserver-client', {}, serving, 'invalid usage for client certificate: server auth'],
    ['kube-apiserver-client', {}, ['digital signature'], 'missing required usage for client certificate: client auth'],
    ['legacy-unknown', { commonName: 'x' }, ['any'], undefined],
  ] as const)('%s with %j for %j: %s', (signer, change, usages, expected) => {
    expect(signerRules[signer]({ ...node, ...change } as ParsedRequest, [...usages])).toBe(expected);
  });
});

describe('requests are cleaned up', () => {
  const at = (hoursAgo: number) => new Date(Date.now() - hoursAgo * hour).toISOString();
  const condition = (type: string, hoursAgo: number) => ({ type, status: 'True', lastUpdateTime: at(hoursAgo) });
  test.each([
    ['pending for a day', { created: 25, conditions: [] }, true],
    ['pending for an hour', { created: 1.5, conditions: [] }, false],
    ['approved but not signed', { created: 30, conditions: [condition('Approved', 29)] }, false],
    ['signed an hour ago', { created: 2, conditions: [condition('Approved', 1.1)], certificate: 'eA==' }, true],
    ['signed just now', { created: 2, conditions: [condition('Approved', 0.1)], certificate: 'eA==' }, false],
    ['denied an hour ago', { created: 2, conditions: [condition('Denied', 1.1)] }, true],
    ['failed just now', { created: 2, conditions: [condition('Failed', 0.1)] }, false],
  ])('%s', (_case, { created, ...status }, expected) => {
    const request = { metadata: { creationTimestamp: at(created) }, spec: { request: '', signerName: 'a/b' }, status };
    expect(isOver(request, Date.now())).toBe(expected);
  });
});
