#!/usr/bin/env python3
"""Reads all users from a data source and creates a contact at a data destination, through Keytile.

Needs the package requests and these environment variables:
  KEYTILE          the address of Keytile, such as https://keytile.example
  KEYTILE_KEY      an API key with the scope proxy
  SOURCE           the id of the data source
  DESTINATION      the id of the data destination

It contains no secret of the service. If Keytile restarts, or the service doesn't issue a token for a while, it waits up to
two minutes and continues.
"""

import os
import sys
import time

import requests

# How long to keep trying a request, in seconds.
PATIENCE = 120
# With these codes, Keytile hasn't sent the request, so it's safe to send any request again.
NOT_SENT = {"token_unavailable", "token_limited", "upstream_unreachable", "upstream_busy", "unavailable"}

keytile = requests.Session()
keytile.headers["Authorization"] = "Bearer " + os.environ["KEYTILE_KEY"]


def ask(method, resource, path, **arguments):
    """Returns the service's response, sending the request again if necessary."""
    url = f"{os.environ['KEYTILE']}/proxy/{resource}{path}"
    end = time.monotonic() + PATIENCE
    pause = 0.1
    while True:
        try:
            response = keytile.request(method, url, timeout=60, **arguments)
            reason, wait = problem(response)
            if reason is None:
                response.raise_for_status()
                return response
        except (requests.ConnectionError, requests.Timeout) as error:
            # The service may have processed the request, so only reading requests are sent again.
            if method != "GET" and not isinstance(error, requests.ConnectTimeout) and "refused" not in str(error):
                raise
            reason, wait = type(error).__name__, 0
        if time.monotonic() > end:
            sys.exit(f"gave up on {path}: {reason}")
        print(f"waiting: {reason}", file=sys.stderr, flush=True)
        time.sleep(max(pause, min(wait, 5)))
        pause = min(pause * 2, 2)


def problem(response):
    """Returns why Keytile didn't send the request and how many seconds to wait, or None if the service responded."""
    if "X-Keytile-Upstream" in response.headers:
        return None, 0
    code = response.json()["code"]
    if code not in NOT_SENT:
        sys.exit(f"Keytile refused the request: {code}: {response.json()['detail']}")
    return code, int(response.headers.get("Retry-After", 0))


def main():
    users, page = [], 1
    while True:
        response = ask("GET", os.environ["SOURCE"], "/users", params={"page": page, "per_page": 5}).json()
        users += response["_embedded"]["users"]
        print(f"page {page}: {len(users)} users", flush=True)
        if "next" not in response["_links"]:
            break
        page += 1
    contact = {"name": f"Report on {len(users)} users", "company": "Keytile"}
    created = ask("POST", os.environ["DESTINATION"], "/contacts", json=contact).json()
    print(f"created contact {created['id']}", flush=True)


main()
