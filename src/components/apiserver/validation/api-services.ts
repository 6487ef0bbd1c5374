/** APIServices. */
import { dns1035LabelErrors, dns1123SubdomainErrors } from '../../../machinery/api/names.ts';
import type { UnknownObject } from '../../../machinery/api/types.ts';
import { apiServiceName, asApiService } from '../aggregation/api-service.ts';
import { eachInvalid, type FieldError, invalidValue, required } from './field-errors.ts';

const maxGroupPriority = 20_000;
const maxVersionPriority = 1_000;

export function apiServiceErrors(object: UnknownObject): FieldError[] {
  const { metadata, spec } = asApiService(object);
  const { group = '', version = '', service, caBundle, insecureSkipTLSVerify } = spec ?? {};
  const { groupPriorityMinimum = 0, versionPriority = 0 } = spec ?? {};
  const errors: FieldError[] = [];
  const name = apiServiceName(group, version);
  if (metadata?.name !== name) {
    const message = `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(name)}`;
    errors.push(invalidValue('metadata.name', metadata?.name, message));
  }
  if (group) errors.push(...eachInvalid('spec.group', group, dns1123SubdomainErrors(group)));
  else if (version !== 'v1')
    errors.push(required('spec.group', 'only v1 may have an empty group and it better be legacy kube'));
  errors.push(...eachInvalid('spec.version', version, dns1035LabelErrors(version)));
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > maxGroupPriority)
    errors.push(
      invalidValue('spec.groupPriorityMinimum', groupPriorityMinimum, 'must be positive and less than 20000'),
    );
  if (versionPriority <= 0 || versionPriority > maxVersionPriority)
    errors.push(invalidValue('spec.versionPriority', versionPriority, 'must be positive and less than 1000'));
  if (!service) {
    if (caBundle)
      errors.push(
        invalidValue(
          'spec.caBundle',
          `${Buffer.from(caBundle, 'base64').length} bytes`,
          'local APIServices may not have a caBundle',
        ),
      );
    if (insecureSkipTLSVerify)
      errors.push(
        invalidValue('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify'),
      );
    return errors;
  }
  if (!service.namespace) errors.push(required('spec.service.namespace'));
  if (!service.name) errors.push(required('spec.service.name'));
  const { port = 443 } = service;
  if (port < 1 || port > 65_535)
    errors.push(invalidValue('spec.service.port', port, 'port is not valid: must be between 1 and 65535, inclusive'));
  if (insecureSkipTLSVerify && caBundle)
    errors.push(invalidValue('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'));
  return errors;
}
