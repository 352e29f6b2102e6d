package bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.data.redis.connection.Message;
import org.springframework.data.redis.connection.RedisConnectionFactory;
import org.springframework.data.redis.listener.ChannelTopic;
import org.springframework.data.redis.listener.PatternTopic;
import org.springframework.data.redis.listener.RedisMessageListenerContainer;
import org.springframework.messaging.simp.SimpMessagingTemplate;

/** Every instance receives every publication, and delivers it to the sessions that it has. */
@Configuration
public class Receiving {
  private final ObjectMapper json;

  public Receiving(ObjectMapper json) {
    this.json = json;
  }

  @Bean
  RedisMessageListenerContainer listeners(RedisConnectionFactory factory, SimpMessagingTemplate sessions) {
    var container = new RedisMessageListenerContainer();
    container.setConnectionFactory(factory);
    container.addMessageListener((message, pattern) -> {
      var notification = parse(message);
      sessions.convertAndSendToUser(String.valueOf(notification.memberId()), "/queue/notification", notification);
    }, new PatternTopic("member:*:notification"));
    container.addMessageListener(
        (message, pattern) -> sessions.convertAndSend("/topic/all", parse(message)), new ChannelTopic("broadcast:all"));
    return container;
  }

  private Notification parse(Message message) {
    try {
      return json.readValue(message.getBody(), Notification.class);
    } catch (IOException malformed) {
      throw new UncheckedIOException(malformed);
    }
  }
}
