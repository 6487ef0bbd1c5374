/** Command lines of components: defaults, overridden by the user's extra arguments, in kubeadm's order. */
import type { Argument } from '../config/types.ts';

/** `--name=value`, sorted by name; an extra argument replaces all defaults of its name, and may itself repeat. */
export function buildArguments(defaults: Record<string, string>, extra: readonly Argument[]): string[] {
  const overridden = new Set(extra.map(({ name }) => name));
  const all = [
    ...Object.entries(defaults)
      .filter(([name]) => !overridden.has(name))
      .map(([name, value]) => ({ name, value })),
    ...extra,
  ];
  return all
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ name, value }) => `--${name}=${value}`);
}
