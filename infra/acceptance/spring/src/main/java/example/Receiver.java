package example;

import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.Type;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;
import org.springframework.messaging.converter.MappingJackson2MessageConverter;
import org.springframework.messaging.simp.stomp.StompCommand;
import org.springframework.messaging.simp.stomp.StompFrameHandler;
import org.springframework.messaging.simp.stomp.StompHeaders;
import org.springframework.messaging.simp.stomp.StompSession;
import org.springframework.messaging.simp.stomp.StompSessionHandlerAdapter;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;
import org.springframework.stereotype.Component;
import org.springframework.web.socket.WebSocketHttpHeaders;
import org.springframework.web.socket.client.standard.StandardWebSocketClient;
import org.springframework.web.socket.messaging.WebSocketStompClient;

/** Receives what a member's browser would, with Spring's own client. Reconnects, and resumes after the last message. */
@Component
@ConditionalOnProperty("receiver.member-token")
class Receiver extends StompSessionHandlerAdapter {
  private static final List<String> DESTINATIONS =
      List.of("/member/queue/session", "/member/queue/notification", "/member/queue/cart", "/topic/all", "/topic/order.17");

  private final String url;
  private final WebSocketHttpHeaders handshake = new WebSocketHttpHeaders();
  private final ThreadPoolTaskScheduler scheduler = new ThreadPoolTaskScheduler();
  private final WebSocketStompClient client = new WebSocketStompClient(new StandardWebSocketClient());
  private final Map<String, String> positions = new ConcurrentHashMap<>();
  private final AtomicBoolean reconnecting = new AtomicBoolean();

  Receiver(@Value("${receiver.url}") String url, @Value("${receiver.origin}") String origin,
      @Value("${receiver.member-token}") String token, @Value("${receiver.heart-beat-ms:10000}") long heartBeatMs) {
    this.url = url;
    handshake.add("Cookie", "access_token=" + token);
    handshake.setOrigin(origin);
    // Receipts and heart-beats need a scheduler.
    scheduler.initialize();
    client.setTaskScheduler(scheduler);
    client.setDefaultHeartbeat(new long[] {heartBeatMs, heartBeatMs});
    client.setMessageConverter(new MappingJackson2MessageConverter());
  }

  @EventListener(ApplicationReadyEvent.class)
  void connect() {
    reconnecting.set(false);
    client.connectAsync(url, handshake, new StompHeaders(), this);
  }

  @Override
  public void afterConnected(StompSession session, StompHeaders connected) {
    System.out.println("connected");
    session.setAutoReceipt(true);
    for (String destination : DESTINATIONS) subscribe(session, destination);
  }

  private void subscribe(StompSession session, String destination) {
    boolean hasHistory = !destination.equals("/member/queue/session");
    StompHeaders headers = new StompHeaders();
    headers.setDestination(destination);
    if (hasHistory && positions.containsKey(destination)) headers.set("last-message-id", positions.get(destination));
    StompSession.Subscription subscription = session.subscribe(headers, new StompFrameHandler() {
      @Override
      public Type getPayloadType(StompHeaders message) {
        return JsonNode.class;
      }

      @Override
      public void handleFrame(StompHeaders message, Object body) {
        System.out.println(destination + " " + body);
        if (hasHistory) positions.put(destination, message.getMessageId());
      }
    });
    subscription.addReceiptTask(receipt -> {
      // Before the first message, the position of the RECEIPT is the one to resume from.
      if (hasHistory) positions.putIfAbsent(destination, receipt.getFirst("position"));
      String recovered = receipt.getFirst("recovered");
      // On recovered:false, read the inbox with GET /notification: messages are lost.
      System.out.println("subscribed to " + destination + (recovered == null ? "" : ", recovered " + recovered));
    });
  }

  /** An ERROR frame. Its close code is not visible here. */
  @Override
  public void handleFrame(StompHeaders error, Object body) {
    System.out.println("refused: " + error.getFirst("message"));
  }

  /** Called also when connecting fails, and sometimes twice. */
  @Override
  public void handleTransportError(StompSession session, Throwable failure) {
    if (!reconnecting.compareAndSet(false, true)) return;
    System.out.println("disconnected: " + failure.getMessage());
    scheduler.schedule(this::connect, Instant.now().plusMillis(ThreadLocalRandom.current().nextLong(500, 2_000)));
  }

  @Override
  public void handleException(StompSession session, StompCommand command, StompHeaders headers, byte[] payload, Throwable failure) {
    failure.printStackTrace();
  }
}
