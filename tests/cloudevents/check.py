"""Reads requests as their receivers do: the signature with the library of Standard Webhooks, the event with the SDK of
CloudEvents.

Standard input is a JSON array of {"headers": {name: value}, "body": base64, "secret": "whsec_..."}; standard output is a JSON
array of {"attributes": {...}, "data": ...}. The exit status is not 0 where one is refused.
"""

import base64
import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

found = []
for request in json.load(sys.stdin):
    body = base64.b64decode(request["body"])
    Webhook(request["secret"]).verify(body, request["headers"])
    event = from_http_event(HTTPMessage(headers=request["headers"], body=body))
    found.append({"attributes": event.get_attributes(), "data": event.get_data()})
json.dump(found, sys.stdout, default=lambda value: value.isoformat())
