/** The plugins MutatingAdmissionWebhook and ValidatingAdmissionWebhook: ask the configured webhooks about every write. */
import { applyJsonPatch } from '../../../../machinery/api/patch/json-patch.ts';
import type { UnknownObject } from '../../../../machinery/api/types.ts';
import { normalize } from '../../codec/decode.ts';
import { applyDefaults } from '../../defaulting/defaulting.ts';
import { badRequest, forbidden, internalError, StatusError } from '../../errors.ts';
import { loopbackUser } from '../../rest/loopback.ts';
import type { AdmissionAttributes, AdmissionPlugin, ResourceDescriptor } from '../../types.ts';
import type { AdmissionDeps } from '../plugin.ts';
import { addressOf, post } from './call.ts';
import { currentWebhooks, type Webhook } from './configuration.ts';
import { matchedVersion, matchesSelectors, meetsConditions } from './matching.ts';
import { denial, inVersion, readReview, reviewRequest, type Verdict } from './review.ts';

/** Webhooks cannot lock the door to their own configuration. The server's own writes do not wait for them either. */
const isExempt = ({ descriptor, user }: AdmissionAttributes): boolean =>
  descriptor.group === 'admissionregistration.k8s.io' || user === loopbackUser;

const reviewVersions = ['v1', 'v1beta1'];

/** Asks one webhook; undefined when it is not about this request or its failure is ignored. Throws StatusErrors. */
async function ask(
  webhook: Webhook,
  attributes: AdmissionAttributes,
  deps: AdmissionDeps,
): Promise<{ verdict: Verdict; wanted: ResourceDescriptor } | undefined> {
  const wanted = matchedVersion(webhook, attributes, deps);
  if (!wanted || !(await matchesSelectors(webhook, attributes, deps))) return undefined;
  const request = reviewRequest(attributes, wanted);
  const { name, failurePolicy = 'Fail', sideEffects, timeoutSeconds = 10 } = webhook;
  try {
    if (!meetsConditions(webhook, request, attributes)) return undefined;
  } catch (error) {
    if (failurePolicy === 'Ignore') return undefined;
    const { group, resource } = attributes.descriptor;
    throw forbidden(group, resource, attributes.name, `expression of a match condition: ${(error as Error).message}`);
  }
  if (attributes.dryRun && sideEffects !== 'None' && sideEffects !== 'NoneOnDryRun')
    throw badRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`);
  try {
    const version = webhook.admissionReviewVersions?.find((one) => reviewVersions.includes(one)) ?? 'v1';
    const review = { kind: 'AdmissionReview', apiVersion: `admission.k8s.io/${version}`, request };
    const { caBundle } = webhook.clientConfig;
    const answer = await post(addressOf(webhook.clientConfig, deps.cache), JSON.stringify(review), {
      ...(caBundle ? { caBundle } : {}),
      timeoutSeconds,
    });
    return { verdict: readReview(answer, version, request.uid), wanted };
  } catch (error) {
    if (failurePolicy === 'Ignore') return undefined;
    throw internalError(`failed calling webhook ${JSON.stringify(name)}: ${(error as Error).message}`);
  }
}

/** Warns, and throws when the webhook says no. */
function obey({ name }: Webhook, { allowed, status, warnings }: Verdict, attributes: AdmissionAttributes): void {
  for (const warning of warnings) attributes.warn(warning);
  if (!allowed) throw denial(name, status);
}

export function validatingWebhooks(deps: AdmissionDeps): AdmissionPlugin {
  const current = currentWebhooks(deps.cache, 'validating');
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: () => true,
    async validate(attributes) {
      if (isExempt(attributes)) return;
      const hooks = current();
      if (!hooks.length) return;
      const answers = await Promise.allSettled(
        hooks.map(async (hook) => {
          const answer = await ask(hook, attributes, deps);
          if (answer) obey(hook, answer.verdict, attributes);
        }),
      );
      for (const answer of answers) if (answer.status === 'rejected') throw answer.reason;
    },
  };
}

/** For each request the object as a webhook left it, so that it is asked again when others changed it since. */
const seen = new WeakMap<AdmissionAttributes, Map<Webhook, string>>();

export function mutatingWebhooks(deps: AdmissionDeps): AdmissionPlugin {
  const current = currentWebhooks(deps.cache, 'mutating');
  return {
    name: 'MutatingAdmissionWebhook',
    handles: () => true,
    async admit(attributes) {
      if (isExempt(attributes)) return;
      const hooks = current();
      if (!hooks.length) return;
      const before = seen.get(attributes);
      const left = before ?? new Map<Webhook, string>();
      seen.set(attributes, left);
      for (const hook of hooks) {
        const again = left.get(hook);
        if (before && (hook.reinvocationPolicy !== 'IfNeeded' || again === undefined)) continue;
        if (again !== undefined && again === JSON.stringify(attributes.object)) continue;
        const answer = await ask(hook, attributes, deps);
        if (!answer) continue;
        obey(hook, answer.verdict, attributes);
        if (answer.verdict.patch !== undefined && attributes.object) {
          applyTo(attributes, attributes.object, hook, answer.verdict.patch, answer.wanted);
          attributes.changedByWebhook = true;
        }
        left.set(hook, JSON.stringify(attributes.object));
      }
    },
  };
}

/** Patches the object in place: others hold on to it. */
function applyTo(
  { descriptor, subresource }: AdmissionAttributes,
  object: UnknownObject,
  { name }: Webhook,
  patch: unknown,
  wanted: ResourceDescriptor,
): void {
  try {
    const patched = applyJsonPatch(inVersion(structuredClone(object), descriptor, wanted), patch) as UnknownObject;
    const own = subresource && patched.kind !== wanted.kind ? patched : completed(patched, wanted, descriptor);
    for (const field of Object.keys(object)) if (!(field in own)) delete object[field];
    Object.assign(object, own);
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw internalError(`failed applying the patch of webhook ${JSON.stringify(name)}: ${(error as Error).message}`);
  }
}

function completed(patched: UnknownObject, wanted: ResourceDescriptor, own: ResourceDescriptor): UnknownObject {
  const { object } = normalize(wanted, structuredClone(patched), 'Ignore');
  const back = inVersion(object, wanted, own) ?? object;
  applyDefaults(own, back);
  return back;
}
