// Starts oidc-provider, an OAuth2 and OpenID Connect server that nobody here wrote, behind TLS on a free
// loopback port.
//
// The first line of standard input says how, as JSON: { issuer, key, certificate, lifetime, clients,
// accounts, claimsInIdToken } with key and certificate in PEM, lifetime in seconds, clients as
// oidc-provider takes them, and accounts as an object of ids and their claims. It prints `ready PORT` once
// it listens, and exits when standard input closes, so that nothing is left running behind a test that died.
//
// There is no sign-in page: whoever comes is signed in as the account that `login_hint` names, and has
// consented; where there is no such account, access is denied.

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

async function start({ issuer, key, certificate, lifetime, clients, accounts, claimsInIdToken }) {
  const Provider = await loadProvider();
  const provider = new Provider(issuer, {
    clients,
    // It offers no more ways to authenticate than its clients have.
    clientAuthMethods: [...new Set(clients.map((client) => client.token_endpoint_auth_method))],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    routes: { token: '/oauth/token' },
    scopes: ['openid', 'account:read', 'contacts:read', 'users:read'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    conformIdTokenClaims: !claimsInIdToken,
    findAccount: (ctx, id) => accounts[id] && { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    ttl: { ClientCredentials: lifetime },
    jwks: { keys: [newKey('ec', { namedCurve: 'P-256' }), newKey('rsa', { modulusLength: 2048 }), newKey('ed25519')] },
    cookies: { keys: ['known to everybody, for no cookie outlives its test'] },
  });
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith('/interaction/')) return next();
    const { params } = await provider.interactionDetails(ctx.req, ctx.res);
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, await signIn(provider, accounts, params)));
  });
  const server = createServer({ key, cert: certificate }, provider.callback());
  server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));
}

// What a person would have entered and agreed to.
async function signIn(provider, accounts, { client_id: clientId, login_hint: accountId, scope }) {
  if (!accounts[accountId]) return { error: 'access_denied', error_description: 'there is no such account' };
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope(scope);
  return { login: { accountId }, consent: { grantId: await grant.save() } };
}

function newKey(type, options) {
  return crypto.generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
}

// The packages lie beside this file, or in the folder that KEYTILE_TEST_NPM names.
async function loadProvider() {
  const folder = process.env.KEYTILE_TEST_NPM;
  const from = folder ? createRequire(pathToFileURL(`${folder}/`)) : createRequire(import.meta.url);
  return (await import(pathToFileURL(from.resolve('oidc-provider')))).default;
}
