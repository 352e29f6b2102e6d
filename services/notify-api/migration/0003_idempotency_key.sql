-- key_hash: SHA-256 of caller and key, so that no caller's name or key is too long, or equal to another by collation.
-- answer: the body of the first answer; null until it was given. first_notification_id rebuilds it when its giver died before.
CREATE TABLE IF NOT EXISTS idempotency_key (
  key_hash BINARY(32) NOT NULL,
  request_hash BINARY(32) NOT NULL,
  first_notification_id BIGINT UNSIGNED NULL,
  answer MEDIUMTEXT NULL,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (key_hash),
  KEY idempotency_key_retention (created_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
