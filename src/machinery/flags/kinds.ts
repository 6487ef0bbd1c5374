/** Short forms of flag descriptions. */
export const path = (help: string) => ({ kind: 'string', help }) as const;
export const text = (help: string, value: string) => ({ kind: 'string', help, default: value }) as const;
export const integer = (value: string, help: string) => ({ kind: 'integer', default: value, help }) as const;
export const rate = (value: string, help: string) => ({ kind: 'number', default: value, help }) as const;
export const duration = (value: string, help: string) => ({ kind: 'duration', default: value, help }) as const;
export const toggle = (help: string, value = 'false') => ({ kind: 'boolean', default: value, help }) as const;
export const list = (help: string, value?: string) =>
  ({ kind: 'list', help, ...(value === undefined ? {} : { default: value }) }) as const;
