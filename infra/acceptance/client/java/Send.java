import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Posts a notification every 100 ms: java Send.java */
class Send {
  private static final HttpClient http = HttpClient.newHttpClient();
  private static final URI url = URI.create(System.getenv("TIDINGS_URL") + "/notification/send");
  private static final Pattern id = Pattern.compile("\"notificationId\":\\s*(\\d+)");

  public static void main(String[] args) throws InterruptedException {
    for (int number = 1; ; number++) {
      String body = """
          {"memberId": %s, "message": "java %d", "redirectPath": "/"}""".formatted(System.getenv("MEMBER_ID"), number);
      System.out.println("accepted " + post(body));
      Thread.sleep(100);
    }
  }

  /** Posts until it is accepted, and returns the id. All attempts have one Idempotency-Key: the notification is stored once. */
  private static String post(String body) throws InterruptedException {
    HttpRequest request = HttpRequest.newBuilder(url)
        .header("Authorization", "Bearer " + System.getenv("TIDINGS_TOKEN"))
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", UUID.randomUUID().toString())
        .POST(BodyPublishers.ofString(body)).build();
    while (true) {
      long seconds = 1;
      try {
        HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
        Matcher accepted = id.matcher(response.body());
        if (response.statusCode() == 201 && accepted.find()) return accepted.group(1);
        System.out.println("retry " + response.statusCode());
        if (!Set.of(409, 429, 503).contains(response.statusCode())) throw new IllegalStateException(response.body());
        seconds = response.headers().firstValueAsLong("Retry-After").orElse(1);
      } catch (IOException broken) {
        System.out.println("retry " + broken);
      }
      Thread.sleep(1_000 * seconds);
    }
  }
}
