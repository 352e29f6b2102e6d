package bench;

import java.security.Principal;
import java.util.Map;
import org.springframework.context.annotation.Configuration;
import org.springframework.http.server.ServerHttpRequest;
import org.springframework.http.server.ServletServerHttpRequest;
import org.springframework.messaging.simp.config.MessageBrokerRegistry;
import org.springframework.web.socket.WebSocketHandler;
import org.springframework.web.socket.config.annotation.EnableWebSocketMessageBroker;
import org.springframework.web.socket.config.annotation.StompEndpointRegistry;
import org.springframework.web.socket.config.annotation.WebSocketMessageBrokerConfigurer;
import org.springframework.web.socket.server.support.DefaultHandshakeHandler;
import org.springframework.web.util.WebUtils;

@Configuration
@EnableWebSocketMessageBroker
public class Sessions implements WebSocketMessageBrokerConfigurer {
  private final Tokens tokens;

  public Sessions(Tokens tokens) {
    this.tokens = tokens;
  }

  @Override
  public void configureMessageBroker(MessageBrokerRegistry broker) {
    broker.enableSimpleBroker("/topic", "/queue");
    broker.setUserDestinationPrefix("/member");
  }

  @Override
  public void registerStompEndpoints(StompEndpointRegistry endpoints) {
    var handshake = new DefaultHandshakeHandler() {
      @Override
      protected Principal determineUser(ServerHttpRequest request, WebSocketHandler handler, Map<String, Object> attributes) {
        var cookie = WebUtils.getCookie(((ServletServerHttpRequest) request).getServletRequest(), "access_token");
        var memberId = tokens.memberOf(cookie.getValue());
        return () -> memberId;
      }
    };
    endpoints.addEndpoint("/ws").setAllowedOriginPatterns("http://localhost:*").setHandshakeHandler(handshake);
  }
}
