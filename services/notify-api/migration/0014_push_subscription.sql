-- Browsers that receive push messages. endpoint_hash: SHA-256 of the endpoint, which has one member at a time.
-- p256dh, auth: keys of the browser. origin: of the page that subscribed; null for an app. changed_at: last PUT; the oldest gives way.
CREATE TABLE IF NOT EXISTS push_subscription (
  subscription_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  member_id BIGINT UNSIGNED NOT NULL,
  endpoint_hash BINARY(32) NOT NULL,
  endpoint VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  p256dh BINARY(65) NOT NULL,
  auth BINARY(16) NOT NULL,
  origin VARCHAR(300) CHARACTER SET ascii COLLATE ascii_bin NULL,
  lang VARCHAR(35) CHARACTER SET ascii COLLATE ascii_bin NULL,
  changed_at DATETIME(3) NOT NULL,
  PRIMARY KEY (subscription_id),
  UNIQUE KEY push_subscription_endpoint (endpoint_hash),
  KEY push_subscription_member (member_id, changed_at, subscription_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Subscriptions that need no further push message of a notification, while others of the member are repeated. sent: 0 when refused for good.
CREATE TABLE IF NOT EXISTS push_settled (
  notification_id BIGINT UNSIGNED NOT NULL,
  subscription_id BIGINT UNSIGNED NOT NULL,
  sent TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (notification_id, subscription_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
