import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Prints the notifications of a member, across reconnects: java Receive.java */
class Receive {
  private static final URI url = URI.create(System.getenv("TIDINGS_URL").replaceFirst("^http", "ws") + "/ws");
  private static final Pattern id = Pattern.compile("\"notificationId\":\\s*(\\d+)");
  /** Close codes after which a new connection would end in the same way. */
  private static final Set<Integer> finalCodes = Set.of(1000, 4400, 4401, 4403, 4409);
  private static final long heartBeatMs = 10_000;

  /** Where to resume. Keep it with what was received. */
  private static String position;

  public static void main(String[] args) throws InterruptedException {
    HttpClient http = HttpClient.newHttpClient();
    while (true) {
      BlockingQueue<String> events = new LinkedBlockingQueue<>();
      long delayMs = ThreadLocalRandom.current().nextLong(1_000, 3_000);
      try {
        WebSocket socket = http.newWebSocketBuilder().header("Authorization", "Bearer " + System.getenv("TIDINGS_TOKEN"))
            .subprotocols("v12.stomp").buildAsync(url, new Events(events)).join();
        String closed = talk(socket, events);
        System.out.println("closed " + closed.split(" ")[0]);
        if (finalCodes.contains(Integer.valueOf(closed.split(" ")[0]))) return;
        // A gateway that stops names the delay: "reconnect after 1500 ms".
        Matcher delay = Pattern.compile("after (\\d+) ms").matcher(closed);
        if (delay.find()) delayMs = Long.parseLong(delay.group(1));
      } catch (CompletionException failure) {
        boolean refused = failure.getCause() instanceof WebSocketHandshakeException;
        System.out.println("refused " + (refused ? ((WebSocketHandshakeException) failure.getCause()).getResponse().statusCode() : failure));
      }
      Thread.sleep(delayMs);
    }
  }

  /** Speaks STOMP until the connection ends, and returns the close code and the reason. */
  private static String talk(WebSocket socket, BlockingQueue<String> events) throws InterruptedException {
    send(socket, "CONNECT\naccept-version:1.2\nhost:tidings\nheart-beat:0," + heartBeatMs + "\n\n\0");
    while (true) {
      String event = events.poll(3 * heartBeatMs, TimeUnit.MILLISECONDS);
      if (event == null) {
        socket.abort();
        return "1006 no heart-beat";
      }
      if (event.startsWith("closed ")) return event.substring("closed ".length());
      if (event.equals("\n")) continue;
      String[] parts = event.split("\n\n", 2);
      String command = parts[0].lines().findFirst().orElseThrow();
      Map<String, String> headers = parts[0].lines().skip(1).map(line -> line.split(":", 2))
          .collect(Collectors.toMap(line -> line[0], line -> line[1], (first, repeated) -> first));
      switch (command) {
        case "CONNECTED" -> send(socket, "SUBSCRIBE\nid:0\ndestination:/member/queue/notification\nreceipt:0\n"
            + (position == null ? "" : "last-message-id:" + position + "\n") + "\n\0");
        case "RECEIPT" -> {
          // On recovered:false, read the inbox: notifications were sent that the history no longer has.
          System.out.println("subscribed, recovered " + headers.getOrDefault("recovered", "nothing"));
          if (position == null) position = headers.get("position");
        }
        case "MESSAGE" -> {
          Matcher received = id.matcher(parts[1]);
          if (received.find()) System.out.println("received " + received.group(1));
          position = headers.get("message-id");
        }
        default -> System.out.println(command + " " + headers.get("message"));
      }
    }
  }

  private static void send(WebSocket socket, String frame) {
    socket.sendText(frame, true);
  }

  /** Puts each whole text message, and the end of the connection, into a queue. */
  private record Events(BlockingQueue<String> queue, StringBuilder text) implements WebSocket.Listener {
    Events(BlockingQueue<String> queue) {
      this(queue, new StringBuilder());
    }

    @Override
    public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
      text.append(part);
      if (last) {
        queue.add(text.toString());
        text.setLength(0);
      }
      socket.request(1);
      return null;
    }

    @Override
    public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
      queue.add("closed " + code + " " + reason);
      return null;
    }

    @Override
    public void onError(WebSocket socket, Throwable error) {
      queue.add("closed 1006 " + error);
    }
  }
}
