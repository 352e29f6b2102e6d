package example;

import io.jsonwebtoken.Jwts;
import io.jsonwebtoken.security.Keys;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Date;
import javax.crypto.SecretKey;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.messaging.converter.MappingJackson2MessageConverter;
import org.springframework.messaging.simp.SimpMessagingTemplate;
import org.springframework.web.client.RestClient;

@Configuration
class TidingsConfiguration {
  private static final String SCOPES = "notification:send notification:broadcast message:send presence:read";

  @Bean
  RestClient tidings(RestClient.Builder builder, @Value("${tidings.url}") String url, @Value("${tidings.service-secret}") String secret) {
    SecretKey key = Keys.hmacShaKeyFor(secret.getBytes(StandardCharsets.UTF_8));
    return builder.baseUrl(url).requestInitializer(request -> request.getHeaders().setBearerAuth(serviceToken(key))).build();
  }

  // HS256 by name: jjwt takes HS512 for a secret of 64 bytes or more, and Tidings refuses it.
  private static String serviceToken(SecretKey key) {
    Instant now = Instant.now();
    return Jwts.builder().subject("shop").claim("scope", SCOPES)
        .issuedAt(Date.from(now)).expiration(Date.from(now.plusSeconds(300))).signWith(key, Jwts.SIG.HS256).compact();
  }

  // The name of the bean of @EnableWebSocketMessageBroker, which has to be removed.
  @Bean
  SimpMessagingTemplate brokerMessagingTemplate(RestClient tidings) {
    SimpMessagingTemplate template = new SimpMessagingTemplate(new TidingsChannel(tidings));
    template.setMessageConverter(new MappingJackson2MessageConverter());
    return template;
  }
}
