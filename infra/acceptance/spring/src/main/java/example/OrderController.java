package example;

import java.util.Map;
import org.springframework.messaging.simp.SimpMessagingTemplate;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/** Code of a product, as it was with the simple broker. */
@RestController
class OrderController {
  private final SimpMessagingTemplate template;
  private final Presence presence;

  OrderController(SimpMessagingTemplate template, Presence presence) {
    this.template = template;
    this.presence = presence;
  }

  record Notice(String message, String redirectPath) {}

  @PostMapping("/order/{orderId}/ship/{memberId}")
  void ship(@PathVariable String orderId, @PathVariable String memberId) {
    template.convertAndSendToUser(memberId, "/queue/notification", new Notice("주문이 발송되었습니다.", "/order/" + orderId));
    template.convertAndSendToUser(memberId, "/queue/cart", Map.of("items", 0));
    template.convertAndSend("/topic/order." + orderId, Map.of("state", "shipped"));
  }

  @PostMapping("/maintenance")
  void maintenance() {
    template.convertAndSend("/topic/all", new Notice("점검이 시작됩니다.", "/notice/1"));
  }

  @GetMapping("/online/{memberId}")
  boolean online(@PathVariable String memberId) {
    return presence.isOnline(memberId);
  }
}
