package example;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;
import org.springframework.stereotype.Component;
import org.springframework.web.client.RestClient;

/** In place of SimpUserRegistry, and over all gateways. */
@Component
class Presence {
  private final RestClient tidings;

  Presence(RestClient tidings) {
    this.tidings = tidings;
  }

  boolean isOnline(String memberId) {
    Object body = Map.of("memberIds", List.of(memberId));
    JsonNode response = tidings.post().uri("/presence").body(body).retrieve().body(JsonNode.class);
    return response.at("/members/0/online").asBoolean();
  }
}
