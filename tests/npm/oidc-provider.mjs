// Starts oidc-provider, an OAuth2 server that nobody here wrote, behind TLS on a free loopback port.
//
// The first line of standard input says how, as JSON: { issuer, key, certificate, lifetime, clients }
// with key and certificate in PEM, lifetime in seconds and clients as oidc-provider takes them. It
// prints `ready PORT` once it listens, and exits when standard input closes, so that nothing is left
// running behind a test that died.

import crypto from 'node:crypto';
import { createServer } from 'node:https';
import { createRequire, register } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

// Debian 12 has Node 18, which lacks three things that oidc-provider uses.
globalThis.crypto ??= crypto.webcrypto;
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);
if (!crypto.hash) register('./node18-hooks.mjs', import.meta.url);

const lines = createInterface({ input: process.stdin });
lines.once('line', (line) => start(JSON.parse(line)));
lines.once('close', () => process.exit(0));

async function start({ issuer, key, certificate, lifetime, clients }) {
  const Provider = await loadProvider();
  const provider = new Provider(issuer, {
    clients,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    routes: { token: '/oauth/token' },
    scopes: ['account:read', 'contacts:read', 'users:read'],
    ttl: { ClientCredentials: lifetime },
    jwks: { keys: [crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })] },
    cookies: { keys: ['no cookie is ever set'] },
  });
  const server = createServer({ key, cert: certificate }, provider.callback());
  server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));
}

// The packages lie beside this file, or in the folder that KEYTILE_TEST_NPM names.
async function loadProvider() {
  const folder = process.env.KEYTILE_TEST_NPM;
  const from = folder ? createRequire(pathToFileURL(`${folder}/`)) : createRequire(import.meta.url);
  return (await import(pathToFileURL(from.resolve('oidc-provider')))).default;
}
