/** Names of images: their full form, and the registry they come from. */

const domain =
  /^(?:localhost|[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d+)?$/;
const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tag = /^\w[\w.-]{0,127}$/;
const digest = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

export interface ImageName {
  domain: string;
  path: string;
  tag?: string;
  digest?: string;
}

/** undefined: not a valid reference. */
export function parseImage(image: string): ImageName | undefined {
  let rest = image;
  let digestPart: string | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    digestPart = rest.slice(at + 1);
    rest = rest.slice(0, at);
    if (!digest.test(digestPart)) return undefined;
  }
  let tagPart: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon > rest.lastIndexOf('/')) {
    tagPart = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!tag.test(tagPart)) return undefined;
  }
  const slash = rest.indexOf('/');
  const first = slash < 0 ? '' : rest.slice(0, slash);
  const named = first !== '' && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first);
  const path = named ? rest.slice(slash + 1) : slash < 0 ? `library/${rest}` : rest;
  const host = named ? first : 'docker.io';
  if (!domain.test(host) || !path.split('/').every((part) => component.test(part))) return undefined;
  return {
    domain: host === 'index.docker.io' ? 'docker.io' : host,
    path,
    ...(tagPart ? { tag: tagPart } : {}),
    ...(digestPart ? { digest: digestPart } : {}),
  };
}

/** The name with the tag that is meant when none is given; the rest as it was written. */
export function normalizeImage(image: string): string | undefined {
  const parsed = parseImage(image);
  if (!parsed) return undefined;
  return parsed.tag || parsed.digest ? image : `${image}:latest`;
}
