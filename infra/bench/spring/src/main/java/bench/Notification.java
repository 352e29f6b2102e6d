package bench;

public record Notification(Long memberId, Long notificationId, String message, String redirectPath) {}
