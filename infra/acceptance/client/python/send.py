"""Posts a notification every 100 ms: python send.py"""

import itertools
import json
import os
import time
import urllib.error
import urllib.request
import uuid


def post(body):
    """Posts until it is accepted, and returns the id. All attempts have one Idempotency-Key: the notification is stored once."""
    request = urllib.request.Request(
        os.environ["TIDINGS_URL"] + "/notification/send",
        data=json.dumps(body).encode(),
        headers={
            "Authorization": "Bearer " + os.environ["TIDINGS_TOKEN"],
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
        },
    )
    while True:
        seconds = 1
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)["notificationId"]
        except urllib.error.HTTPError as refused:
            print("retry", refused.code, flush=True)
            if refused.code not in (409, 429, 503):
                raise
            seconds = int(refused.headers.get("Retry-After", 1))
        except OSError as broken:
            print("retry", broken, flush=True)
        time.sleep(seconds)


for number in itertools.count(1):
    print("accepted", post({"memberId": os.environ["MEMBER_ID"], "message": f"python {number}", "redirectPath": "/"}), flush=True)
    time.sleep(0.1)
