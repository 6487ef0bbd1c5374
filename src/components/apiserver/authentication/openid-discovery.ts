/** OpenID discovery documents, with which others verify service account tokens. */
import type { ServiceAccountOptions } from './authenticator.ts';

export interface OpenIdDocument {
  path: '/openid/v1/jwks' | '/.well-known/openid-configuration';
  contentType: string;
  /** Seconds, for `Cache-Control: public, max-age=…`. */
  maxAge: number;
  body(): string;
}

/** Empty when no issuer is an https URL. Non-resource paths: authorized like any other path. */
export function openIdDocuments(_options: ServiceAccountOptions): OpenIdDocument[] {
  return [];
}
