/** OpenID discovery documents, with which others verify service account tokens. */
import type { ServiceAccountOptions } from './authenticator.ts';
import { jsonWebKey, readVerificationKeys } from './service-account/keys.ts';

export interface OpenIdDocument {
  path: '/openid/v1/jwks' | '/.well-known/openid-configuration';
  contentType: string;
  /** Seconds, for `Cache-Control: public, max-age=…`. */
  maxAge: number;
  body(): string;
}

/** Empty when the first issuer is no https URL. Non-resource paths: authorized like any other path. `externalAddress` is `host:port`. */
export function openIdDocuments(options: ServiceAccountOptions, externalAddress: string): OpenIdDocument[] {
  const issuer = options.issuers[0] ?? '';
  if (!URL.canParse(issuer) || new URL(issuer).protocol !== 'https:') return [];
  const files = options.keyFiles.length ? options.keyFiles : [options.signingKeyFile ?? ''];
  const keys = () =>
    files
      .filter((file) => file !== '')
      .flatMap(readVerificationKeys)
      .map(jsonWebKey);
  return [
    {
      path: '/openid/v1/jwks',
      contentType: 'application/jwk-set+json',
      maxAge: 3600,
      body: () => JSON.stringify({ keys: keys() }),
    },
    {
      path: '/.well-known/openid-configuration',
      contentType: 'application/json',
      maxAge: 3600,
      body: () =>
        JSON.stringify({
          issuer,
          jwks_uri: options.jwksUri || `https://${externalAddress}/openid/v1/jwks`,
          response_types_supported: ['id_token'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: [...new Set(keys().map(({ alg }) => alg))].sort(),
        }),
    },
  ];
}
