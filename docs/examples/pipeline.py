#!/usr/bin/env python3
"""Reads all users of a data source and creates a contact at a data destination, through Keytile.

Needs the package requests, and in its environment:
  KEYTILE          the address of Keytile, such as https://keytile.example
  KEYTILE_KEY      an API key with the scope proxy
  SOURCE           the id of the data source
  DESTINATION      the id of the data destination

It holds no secret of the service. When Keytile restarts, or the service issues no token for a while, it waits and goes on.
"""

import os
import sys
import time

import requests

# For how long a request is tried again, in seconds.
PATIENCE = 120
# The codes with which Keytile says that it has not sent a request: it can be sent again, whatever it is.
NOT_SENT = {"token_unavailable", "token_limited", "upstream_unreachable", "upstream_busy", "unavailable"}

keytile = requests.Session()
keytile.headers["Authorization"] = "Bearer " + os.environ["KEYTILE_KEY"]


def ask(method, resource, path, **arguments):
    """The answer of the service, however often it has to be asked for."""
    url = f"{os.environ['KEYTILE']}/proxy/{resource}{path}"
    end = time.monotonic() + PATIENCE
    pause = 0.1
    while True:
        try:
            answer = keytile.request(method, url, timeout=60, **arguments)
            reason, wait = problem(answer)
            if reason is None:
                answer.raise_for_status()
                return answer
        except (requests.ConnectionError, requests.Timeout) as error:
            # Whether it was carried out is not known, so that only what reads is sent again.
            if method != "GET" and not isinstance(error, requests.ConnectTimeout) and "refused" not in str(error):
                raise
            reason, wait = type(error).__name__, 0
        if time.monotonic() > end:
            sys.exit(f"given up on {path}: {reason}")
        print(f"waiting: {reason}", file=sys.stderr, flush=True)
        time.sleep(max(pause, min(wait, 5)))
        pause = min(pause * 2, 2)


def problem(answer):
    """Why a request was not sent on, and for how many seconds to wait; None where there is an answer of the service."""
    if "X-Keytile-Upstream" in answer.headers:
        return None, 0
    code = answer.json()["code"]
    if code not in NOT_SENT:
        sys.exit(f"Keytile refuses it: {code}: {answer.json()['detail']}")
    return code, int(answer.headers.get("Retry-After", 0))


def main():
    users, page = [], 1
    while True:
        answer = ask("GET", os.environ["SOURCE"], "/users", params={"page": page, "per_page": 5}).json()
        users += answer["_embedded"]["users"]
        print(f"page {page}: {len(users)} users", flush=True)
        if "next" not in answer["_links"]:
            break
        page += 1
    contact = {"name": f"Report on {len(users)} users", "company": "Keytile"}
    created = ask("POST", os.environ["DESTINATION"], "/contacts", json=contact).json()
    print(f"created contact {created['id']}", flush=True)


main()
