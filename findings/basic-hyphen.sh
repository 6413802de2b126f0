#!/usr/bin/env bash
# A hyphen in a client ID is enough for two OAuth libraries of the same language not to understand each other.
#
# RFC 6749 section 2.3.1 has a client form-encode its ID and secret before HTTP Basic. oidc-provider decodes them;
# @node-oauth/oauth2-server compares what it gets. openid-client encodes, and encodes "-" too, although form encoding
# leaves it alone (WHATWG URL standard). simple-oauth2 encodes without "-", or not at all in its mode "loose". So most client
# IDs that are UUIDs fail with openid-client on a server that doesn't decode, whatever the secret is, and for a
# secret such as a+b/x= no client below works with both servers.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"

packages=(openid-client@6.8.9 oauth4webapi@3.8.8 simple-oauth2@5.1.0 oidc-provider@9.13.3 @node-oauth/oauth2-server@5.3.0)
echo '{ "private": true }' >package.json
npm install --silent --no-fund --no-audit --save-exact "${packages[@]}"
echo "Node.js $(node --version), ${packages[*]}"

cat >try.mjs <<'JS'
import http from 'node:http';
import Provider from 'oidc-provider';
import OAuth2Server from '@node-oauth/oauth2-server';
import * as openid from 'openid-client';
import simple from 'simple-oauth2';

const listen = (handler) =>
  new Promise((ready) => {
    const server = http.createServer(handler);
    server.listen(0, '127.0.0.1', () => ready(`http://127.0.0.1:${server.address().port}`));
  });

async function oidcProvider(id, secret) {
  let provider;
  const address = await listen((request, response) => provider.callback()(request, response));
  const client = { client_id: id, client_secret: secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
  provider = new Provider(address, {
    clients: [client],
    ttl: { ClientCredentials: 60 },
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  });
  return address;
}

async function nodeOauth(id, secret) {
  const model = {
    getClient: async (i, s) => (i === id && s === secret ? { id, grants: ['client_credentials'] } : null),
    getUserFromClient: async () => ({}),
    saveToken: async (token, client, user) => ({ ...token, client, user }),
  };
  const oauth = new OAuth2Server({ model });
  return listen(async (incoming, outgoing) => {
    let text = '';
    for await (const piece of incoming) text += piece;
    const body = Object.fromEntries(new URLSearchParams(text));
    const response = new OAuth2Server.Response({});
    const request = new OAuth2Server.Request({ method: incoming.method, headers: incoming.headers, query: {}, body });
    await oauth.token(request, response).catch(() => {});
    outgoing.writeHead(response.status, { ...response.headers, 'content-type': 'application/json' });
    outgoing.end(JSON.stringify(response.body));
  });
}

async function openidClient(address, id, secret) {
  const server = { issuer: address, token_endpoint: `${address}/token` };
  const config = new openid.Configuration(server, id, {}, openid.ClientSecretBasic(secret));
  openid.allowInsecureRequests(config);
  await openid.clientCredentialsGrant(config, {});
}

const simpleOauth2 = (credentialsEncodingMode) => async (address, id, secret) => {
  const auth = { tokenHost: address, tokenPath: '/token' };
  await new simple.ClientCredentials({ client: { id, secret }, auth, options: { credentialsEncodingMode } }).getToken({});
};

const clients = { 'openid-client': openidClient, 'simple-oauth2': simpleOauth2('strict'), 'simple-oauth2 loose': simpleOauth2('loose') };
const servers = { 'oidc-provider': oidcProvider, 'node-oauth': nodeOauth };
for (const [id, secret] of [['salesEU', 'letters0nly'], ['sales-EU', 'letters0nly'], ['salesEU', 'a+b/x=']]) {
  for (const [server, start] of Object.entries(servers)) {
    const address = await start(id, secret);
    for (const [client, fetchToken] of Object.entries(clients)) {
      const outcome = await fetchToken(address, id, secret).then(() => 'token', () => 'rejected');
      process.stdout.write(`${id} ${secret} | ${client} -> ${server}: ${outcome}\n`);
    }
  }
}
process.exit();
JS

cat >expected <<'TEXT'
salesEU letters0nly | openid-client -> oidc-provider: token
salesEU letters0nly | simple-oauth2 -> oidc-provider: token
salesEU letters0nly | simple-oauth2 loose -> oidc-provider: token
salesEU letters0nly | openid-client -> node-oauth: token
salesEU letters0nly | simple-oauth2 -> node-oauth: token
salesEU letters0nly | simple-oauth2 loose -> node-oauth: token
sales-EU letters0nly | openid-client -> oidc-provider: token
sales-EU letters0nly | simple-oauth2 -> oidc-provider: token
sales-EU letters0nly | simple-oauth2 loose -> oidc-provider: token
sales-EU letters0nly | openid-client -> node-oauth: rejected
sales-EU letters0nly | simple-oauth2 -> node-oauth: token
sales-EU letters0nly | simple-oauth2 loose -> node-oauth: token
salesEU a+b/x= | openid-client -> oidc-provider: token
salesEU a+b/x= | simple-oauth2 -> oidc-provider: token
salesEU a+b/x= | simple-oauth2 loose -> oidc-provider: rejected
salesEU a+b/x= | openid-client -> node-oauth: rejected
salesEU a+b/x= | simple-oauth2 -> node-oauth: rejected
salesEU a+b/x= | simple-oauth2 loose -> node-oauth: token
TEXT
timeout 60 node try.mjs 2>/dev/null | grep -v ' WARNING: ' | grep -v ' NOTICE: ' | tee seen
diff expected seen && echo "As found: the hyphen alone decides."
