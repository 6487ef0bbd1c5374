/** The admission plugins in upstream's order: all mutating ones, then all validating ones. */
import type { AdmissionAttributes, AdmissionPlugin, Authorizer, CacheReader, LoopbackClient } from '../types.ts';

export interface AdmissionOptions {
  /** `--enable-admission-plugins`, added to the ones that are on by default. */
  enable: string[];
  /** `--disable-admission-plugins`. */
  disable: string[];
  /** `--default-not-ready-toleration-seconds`, 300 unless told. */
  defaultNotReadyTolerationSeconds?: number;
  defaultUnreachableTolerationSeconds?: number;
  /** Plugins that others bring (webhooks, policies); placed by name where upstream places them. */
  extra?: AdmissionPlugin[];
}

export interface AdmissionDeps {
  cache: CacheReader;
  loopback: LoopbackClient;
  authorizer: Authorizer;
}

export interface AdmissionChain {
  admit(attributes: AdmissionAttributes): Promise<void>;
  validate(attributes: AdmissionAttributes): Promise<void>;
}

/** Throws for a plugin name that does not exist. */
export function createAdmissionChain(_options: AdmissionOptions, _deps: AdmissionDeps): AdmissionChain {
  return {
    admit: async () => undefined,
    validate: async () => undefined,
  };
}
