"""Uses the client that openapi-python-client makes of /openapi.json."""

import json
import os

from tidings_client import AuthenticatedClient
from tidings_client.api.notification import send_notification
from tidings_client.api.task import append_task_event, create_task, finish_task
from tidings_client.models import CreateTask, FinishTask, FinishTaskStatus, Problem, SendToMember, SendToMembers
from tidings_client.models import TaskAppend

client = AuthenticatedClient(base_url=os.environ["TIDINGS_URL"], token=os.environ["TIDINGS_TOKEN"])

one = SendToMember(member_id=7, message="hello", redirect_path="/")
sent = send_notification.sync(client=client, body=one, idempotency_key="python-1")
several = SendToMembers(member_ids=[8, "auth0|a1"], message="hello", redirect_path="/")
everyone = send_notification.sync(client=client, body=several)
problem = send_notification.sync(client=client, body=SendToMember(member_id=7, message="", redirect_path="/"))
assert isinstance(problem, Problem)

task = create_task.sync(client=client, body=CreateTask(member_id=7, kind="chat"))
append = TaskAppend(type_="append", text="hello")
accepted = append_task_event.sync(task.task_id, client=client, body=append, offset=0)
ended = finish_task.sync(task.task_id, client=client, body=FinishTask(status=FinishTaskStatus.SUCCEEDED))

print(
    json.dumps(
        {
            "one": sent.notification_id,
            "several": [each.member_id for each in everyone.notifications],
            "problem": [error.to_dict() for error in problem.errors],
            "textBytes": accepted.text_bytes,
            "ended": ended.status.value,
        }
    )
)
