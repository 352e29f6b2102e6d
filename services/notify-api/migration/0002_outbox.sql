-- Committed and not yet published. body is the JSON as it goes to the channel.
CREATE TABLE IF NOT EXISTS outbox (
  outbox_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  channel VARCHAR(255) NOT NULL,
  body MEDIUMTEXT NOT NULL,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (outbox_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
