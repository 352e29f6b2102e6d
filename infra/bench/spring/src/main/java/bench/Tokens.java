package bench;

import io.jsonwebtoken.JwtParser;
import io.jsonwebtoken.Jwts;
import io.jsonwebtoken.security.Keys;
import java.nio.charset.StandardCharsets;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;

@Component
public class Tokens {
  private final JwtParser members;
  private final JwtParser services;

  public Tokens(@Value("${bench.member-secret}") String member, @Value("${bench.service-secret}") String service) {
    members = parser(member);
    services = parser(service);
  }

  public String memberOf(String token) {
    return members.parseSignedClaims(token).getPayload().getSubject();
  }

  public void requireService(String authorization) {
    services.parseSignedClaims(authorization.substring("Bearer ".length()));
  }

  private static JwtParser parser(String secret) {
    return Jwts.parser().verifyWith(Keys.hmacShaKeyFor(secret.getBytes(StandardCharsets.UTF_8))).build();
  }
}
