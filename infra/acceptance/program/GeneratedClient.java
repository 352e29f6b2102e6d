import java.util.List;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.NotificationApi;
import org.openapitools.client.api.TaskApi;
import org.openapitools.client.model.*;

/** Uses the client that openapi-generator makes of /openapi.json. */
public class GeneratedClient {
  public static void main(String[] args) throws Exception {
    ApiClient client = new ApiClient();
    client.updateBaseUri(System.getenv("TIDINGS_URL"));
    client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + System.getenv("TIDINGS_TOKEN")));
    NotificationApi notifications = new NotificationApi(client);
    TaskApi tasks = new TaskApi(client);

    SendToMember one = new SendToMember().memberId(new MemberId(7L)).message("hello").redirectPath("/").data(Map.of("orderId", 77));
    SendNotificationResult sent = notifications.sendNotification(new SendNotification(one), "java-1");

    SendToMembers several =
        new SendToMembers().memberIds(List.of(new MemberId(8L), new MemberId("auth0|a1"))).message("hello").redirectPath("/");
    List<SentNotification> all = notifications.sendNotification(new SendNotification(several), null).getNotifications();

    Problem problem = null;
    try {
      notifications.sendNotification(new SendNotification(new SendToMember().memberId(new MemberId(7L)).message("").redirectPath("/")), null);
    } catch (ApiException refusal) {
      problem = client.getObjectMapper().readValue(refusal.getResponseBody(), Problem.class);
    }

    CreatedTask task = tasks.createTask(new CreateTask().memberId(new MemberId(7L)).kind("chat"));
    TaskProducerEvent append = new TaskProducerEvent(new TaskAppend().type(TaskAppend.TypeEnum.APPEND).text("hello"));
    AcceptedTaskEvent accepted = tasks.appendTaskEvent(task.getTaskId(), append, 0L);
    EndedTask ended = tasks.finishTask(task.getTaskId(), new FinishTask().status(FinishTask.StatusEnum.SUCCEEDED));

    System.out.println(client.getObjectMapper().writeValueAsString(Map.of(
        "one", sent.getNotificationId(),
        "several", all.stream().map(each -> each.getMemberId().getActualInstance()).toList(),
        "problem", problem.getErrors(),
        "textBytes", accepted.getTextBytes(),
        "ended", ended.getStatus())));
  }
}
