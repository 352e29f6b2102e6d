package bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.sql.Statement;
import org.springframework.data.redis.core.StringRedisTemplate;
import org.springframework.http.HttpStatus;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.support.GeneratedKeyHolder;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

@RestController
public class Sending {
  private static final String INSERT = "INSERT INTO notification (member_id, message, redirect_path) VALUES (?, ?, ?)";

  private final JdbcTemplate jdbc;
  private final StringRedisTemplate redis;
  private final ObjectMapper json;
  private final Tokens tokens;

  public Sending(JdbcTemplate jdbc, StringRedisTemplate redis, ObjectMapper json, Tokens tokens) {
    this.jdbc = jdbc;
    this.redis = redis;
    this.json = json;
    this.tokens = tokens;
  }

  @PostMapping("/notification/send")
  @ResponseStatus(HttpStatus.CREATED)
  public Notification send(@RequestHeader("Authorization") String authorization, @RequestBody Notification request)
      throws JsonProcessingException {
    tokens.requireService(authorization);
    var key = new GeneratedKeyHolder();
    jdbc.update(connection -> {
      var insert = connection.prepareStatement(INSERT, Statement.RETURN_GENERATED_KEYS);
      insert.setLong(1, request.memberId());
      insert.setString(2, request.message());
      insert.setString(3, request.redirectPath());
      return insert;
    }, key);
    var sent = new Notification(request.memberId(), key.getKey().longValue(), request.message(), request.redirectPath());
    redis.convertAndSend("member:" + sent.memberId() + ":notification", json.writeValueAsString(sent));
    return sent;
  }
}
