// For Node 18 only: gives importers of node:crypto the same module with the `hash` of newer versions.

const CRYPTO_WITH_HASH = `
  export * from 'node:crypto?as-it-is';
  export { default } from 'node:crypto?as-it-is';
  import { createHash } from 'node:crypto?as-it-is';
  export function hash(algorithm, data, encoding = 'hex') {
    const digest = createHash(algorithm).update(data).digest();
    return encoding === 'buffer' ? digest : digest.toString(encoding);
  }
`;
const REPLACEMENT = `data:text/javascript,${encodeURIComponent(CRYPTO_WITH_HASH)}`;

export async function resolve(specifier, context, next) {
  if (specifier === 'node:crypto?as-it-is') return next('node:crypto', context);
  if (specifier === 'node:crypto') return { url: REPLACEMENT, shortCircuit: true };
  return next(specifier, context);
}
