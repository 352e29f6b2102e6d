"""Prints the notifications of a member, across reconnects: pip install websockets && python receive.py"""

import json
import os
import random
import re
import time

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

URL = re.sub("^http", "ws", os.environ["TIDINGS_URL"]) + "/ws"
# Close codes after which a new connection would end in the same way.
FINAL_CODES = (1000, 4400, 4401, 4403, 4409)
HEART_BEAT_MS = 10_000

# Where to resume. Keep it with what was received.
position = None


def talk(socket):
    """Speaks STOMP until the connection ends, which raises."""
    global position
    socket.send(f"CONNECT\naccept-version:1.2\nhost:tidings\nheart-beat:0,{HEART_BEAT_MS}\n\n\0")
    while True:
        frame = socket.recv(timeout=3 * HEART_BEAT_MS / 1000)
        if frame == "\n":
            continue
        head, body = frame.rstrip("\0").split("\n\n", 1)
        command, *lines = head.split("\n")
        headers = dict(line.split(":", 1) for line in reversed(lines))
        if command == "CONNECTED":
            resume = f"last-message-id:{position}\n" if position else ""
            socket.send(f"SUBSCRIBE\nid:0\ndestination:/member/queue/notification\nreceipt:0\n{resume}\n\0")
        elif command == "RECEIPT":
            # On recovered:false, read the inbox: notifications were sent that the history no longer has.
            print("subscribed, recovered", headers.get("recovered", "nothing"), flush=True)
            position = position or headers["position"]
        elif command == "MESSAGE":
            print("received", json.loads(body)["notificationId"], flush=True)
            position = headers["message-id"]
        else:
            print(command, headers.get("message"), flush=True)


while True:
    delay = random.uniform(1, 3)
    try:
        with connect(URL, subprotocols=["v12.stomp"], additional_headers={"Authorization": "Bearer " + os.environ["TIDINGS_TOKEN"]}) as socket:
            talk(socket)
    except ConnectionClosed as closed:
        code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
        print("closed", code, flush=True)
        if code in FINAL_CODES:
            break
        # A gateway that stops names the delay: "reconnect after 1500 ms".
        named = re.search(r"after (\d+) ms", reason)
        delay = int(named[1]) / 1000 if named else delay
    except InvalidStatus as refused:
        print("refused", refused.response.status_code, flush=True)
    except OSError as broken:  # TimeoutError, too: no heart-beat.
        print("closed", broken, flush=True)
    time.sleep(delay)
