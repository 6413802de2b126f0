// Starts oidc-provider, an OAuth2 and OpenID Connect server that nobody here wrote, behind TLS on a free
// loopback port.
//
// The first line of standard input says how, as JSON: { issuer, key, certificate, lifetime, clients,
// accounts, claimsInIdToken } with key and certificate in PEM, lifetime in seconds, clients as
// oidc-provider takes them, and accounts as an object of ids and their claims. It prints `ready PORT` once
// it listens, and exits when standard input closes, so that nothing is left running behind a test that died.
//
// Whoever comes is signed in as the account that `login_hint` names, and has consented; where there is no
// such account, access is denied. Without that hint there is a page that asks for the account, as people see
// one.

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
    const account = params.login_hint ?? (ctx.method === 'POST' ? await typedAccount(ctx.req) : undefined);
    if (account === undefined) {
      ctx.type = 'html';
      ctx.body = SIGN_IN_PAGE;
      return;
    }
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, await signIn(provider, accounts, account, params)));
  });
  const server = createServer({ key, cert: certificate }, provider.callback());
  server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`));
}

const SIGN_IN_PAGE = `<!doctype html><html lang="en"><title>Sign in at the provider</title>
<form method="post"><label>Account <input name="account"></label> <button id="go">Sign in</button></form></html>`;

async function typedAccount(request) {
  let body = '';
  for await (const chunk of request) body += chunk;
  return new URLSearchParams(body).get('account');
}

// What a person agrees to who has signed in as an account.
async function signIn(provider, accounts, accountId, { client_id: clientId, scope }) {
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
