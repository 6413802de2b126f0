#!/usr/bin/env bash
# A token response without a lifetime, or with the lifetime 0, means three things to three OAuth clients of Python.
#
# "expires_in" is optional (RFC 6749 section 5.1), and access tokens are opaque to clients (section 1.4). httpx-auth reads the token
# as a JWT to find out when it ends, and fails with ValueError if it is none, which is the common case. Authlib and
# oauthlib test "expires_in" for truth: a token that lives for 0 seconds counts as one that never ends, while one of 1 second
# is refused a moment later.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"

packages=(authlib==1.9.6 requests-oauthlib==2.0.0 oauthlib==4.0.1 requests==2.34.2 httpx-auth==0.23.1 httpx==0.28.1)
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "${packages[@]}"
echo "$(python3 --version), ${packages[*]}"

cat >try.py <<'PYTHON'
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from authlib.integrations.requests_client import OAuth2Session as Authlib
from httpx_auth import OAuth2, OAuth2ClientCredentials
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session as RequestsOauthlib

RESPONSE = {}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(RESPONSE)

    def do_GET(self):
        self.answer({})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
token_url = f"http://127.0.0.1:{server.server_port}/token"
api_url = f"http://127.0.0.1:{server.server_port}/api"


def with_authlib():
    session = Authlib("id", "secret")
    session.fetch_token(token_url, grant_type="client_credentials")
    time.sleep(1.5)
    session.get(api_url, timeout=10)


def with_requests_oauthlib():
    session = RequestsOauthlib(client=BackendApplicationClient("id"))
    session.fetch_token(token_url, client_secret="secret")
    time.sleep(1.5)
    session.get(api_url, timeout=10)


def with_httpx_auth():
    OAuth2.token_cache.clear()
    auth = OAuth2ClientCredentials(token_url, client_id="id", client_secret="secret")
    httpx.get(api_url, auth=auth).raise_for_status()


for lifetime in ({"expires_in": 1}, {"expires_in": 0}, {}):
    RESPONSE = {"access_token": "opaque", "token_type": "Bearer", **lifetime}
    print(f"expires_in {lifetime.get('expires_in', 'left out')}")
    for name, use in (("authlib", with_authlib), ("requests-oauthlib", with_requests_oauthlib), ("httpx-auth", with_httpx_auth)):
        try:
            use()
            print(f"  {name}: sends the token")
        except Exception as error:
            print(f"  {name}: {type(error).__name__}")
PYTHON
cat >expected <<'TEXT'
expires_in 1
  authlib: InvalidTokenError
  requests-oauthlib: TokenExpiredError
  httpx-auth: sends the token
expires_in 0
  authlib: sends the token
  requests-oauthlib: sends the token
  httpx-auth: ValueError
expires_in left out
  authlib: sends the token
  requests-oauthlib: sends the token
  httpx-auth: ValueError
TEXT
# oauthlib and Authlib refuse plain HTTP otherwise; this is loopback.
OAUTHLIB_INSECURE_TRANSPORT=1 AUTHLIB_INSECURE_TRANSPORT=1 timeout 60 venv/bin/python -W ignore try.py | tee seen
diff expected seen && echo "As found: 0 seconds is longer than 1."
