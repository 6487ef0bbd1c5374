/** Probes and lifecycle hooks. */
import type { Container, LifecycleHandler, Probe } from '../../../../machinery/api/types.ts';
import { httpHeaderName, nonNegative, oneOf, portNumber, portNumberOrName, positive } from '../checks.ts';
import { at, type FieldError, forbiddenField, invalidValue, required } from '../field-errors.ts';

const counters = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const;

export function probeErrors(probe: Probe | undefined, field: string): FieldError[] {
  if (!probe) return [];
  const errors = handlerErrors(probe, field);
  for (const name of counters) errors.push(...nonNegative(probe[name], `${field}.${name}`));
  errors.push(...positive(probe.terminationGracePeriodSeconds, `${field}.terminationGracePeriodSeconds`));
  return errors;
}

/** Liveness and startup probes succeed with their first success. */
export function livenessErrors(probe: Probe | undefined, field: string): FieldError[] {
  const errors = probeErrors(probe, field);
  if (probe && probe.successThreshold !== undefined && probe.successThreshold !== 1)
    errors.push(invalidValue(`${field}.successThreshold`, probe.successThreshold, 'must be 1'));
  return errors;
}

export function lifecycleErrors(lifecycle: Container['lifecycle'], field: string): FieldError[] {
  return (['postStart', 'preStop'] as const).flatMap((name) =>
    lifecycle?.[name] ? handlerErrors(lifecycle[name] as LifecycleHandler, `${field}.${name}`) : [],
  );
}

type Handler = Partial<Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'>> & { sleep?: { seconds: number } };

function handlerErrors({ exec, httpGet, tcpSocket, grpc, sleep }: Handler, field: string): FieldError[] {
  const errors: FieldError[] = [];
  let seen = 0;
  const one = (name: string, check: () => FieldError[]) => {
    if (seen > 0) errors.push(forbiddenField(`${field}.${name}`, 'may not specify more than 1 handler type'));
    else errors.push(...check());
    seen += 1;
  };
  if (exec) one('exec', () => (exec.command?.length ? [] : [required(`${field}.exec.command`)]));
  if (httpGet)
    one('httpGet', () => [
      ...(httpGet.path ? [] : [required(`${field}.httpGet.path`)]),
      ...portNumberOrName(httpGet.port, `${field}.httpGet.port`),
      ...oneOf(httpGet.scheme, ['HTTP', 'HTTPS'], `${field}.httpGet.scheme`),
      ...(httpGet.httpHeaders ?? []).flatMap(({ name }, i) =>
        httpHeaderName(name, `${at(`${field}.httpGet.httpHeaders`, i)}.name`),
      ),
    ]);
  if (tcpSocket) one('tcpSocket', () => portNumberOrName(tcpSocket.port, `${field}.tcpSocket.port`));
  if (grpc) one('grpc', () => portNumber(grpc.port, `${field}.grpc.port`));
  if (sleep)
    one('sleep', () =>
      sleep.seconds < 0 ? [invalidValue(`${field}.sleep`, sleep.seconds, 'must be non-negative')] : [],
    );
  if (seen === 0) errors.push(required(field, 'must specify a handler type'));
  return errors;
}
