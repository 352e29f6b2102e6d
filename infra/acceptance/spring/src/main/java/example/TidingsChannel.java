package example;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.springframework.http.HttpHeaders;
import org.springframework.messaging.Message;
import org.springframework.messaging.MessageChannel;
import org.springframework.messaging.MessageDeliveryException;
import org.springframework.messaging.simp.SimpMessageHeaderAccessor;
import org.springframework.web.client.ResourceAccessException;
import org.springframework.web.client.RestClient;
import org.springframework.web.client.RestClientException;
import org.springframework.web.client.RestClientResponseException;

/** Posts to Tidings what a SimpMessagingTemplate sends. Returns once it is accepted. */
class TidingsChannel implements MessageChannel {
  private static final Pattern USER_QUEUE = Pattern.compile("/user/([^/]+)/queue/([^/]+)");
  private static final int ATTEMPTS = 6;

  private final RestClient tidings;
  private final ObjectMapper json = new ObjectMapper();

  TidingsChannel(RestClient tidings) {
    this.tidings = tidings;
  }

  @Override
  public boolean send(Message<?> message, long timeoutMs) {
    try {
      String destination = SimpMessageHeaderAccessor.getDestination(message.getHeaders());
      JsonNode body = json.readTree((byte[]) message.getPayload());
      Matcher userQueue = USER_QUEUE.matcher(destination);
      if (destination.equals("/topic/all")) {
        postNotification("/notification/broadcast", notification(body));
      } else if (!userQueue.matches()) {
        post("/message", Map.of("destination", destination, "body", body), null);
      } else if (userQueue.group(2).equals("notification")) {
        postNotification("/notification/send", notification(body).put("memberId", userQueue.group(1)));
      } else {
        String queue = "/member/queue/" + userQueue.group(2);
        post("/message", Map.of("destination", queue, "memberIds", List.of(userQueue.group(1)), "body", body), null);
      }
      return true;
    } catch (IOException | RestClientException | InterruptedException failure) {
      throw new MessageDeliveryException(message, failure);
    }
  }

  // Tidings gives the notificationId, and refuses fields that it does not know.
  private static ObjectNode notification(JsonNode body) {
    return ((ObjectNode) body).retain("message", "redirectPath", "data");
  }

  // The key makes a repetition safe: it returns the first response again.
  private void postNotification(String path, ObjectNode body) throws InterruptedException {
    String key = UUID.randomUUID().toString();
    for (int attempt = 1; ; attempt++) {
      try {
        post(path, body, key);
        return;
      } catch (RestClientResponseException refused) {
        int status = refused.getStatusCode().value();
        if (attempt == ATTEMPTS || (status != 409 && status != 429 && status != 503)) throw refused;
        String seconds = refused.getResponseHeaders().getFirst(HttpHeaders.RETRY_AFTER);
        Thread.sleep(1_000 * (seconds == null ? 1 : Long.parseLong(seconds)));
      } catch (ResourceAccessException broken) {
        if (attempt == ATTEMPTS) throw broken;
        Thread.sleep(1_000);
      }
    }
  }

  private void post(String path, Object body, String idempotencyKey) {
    RestClient.RequestBodySpec request = tidings.post().uri(path).body(body);
    if (idempotencyKey != null) request.header("Idempotency-Key", idempotencyKey);
    request.retrieve().toBodilessEntity();
  }
}
