-- Rows of the outbox that are left to the sweep. While a channel has rows here, all its new rows are left to the sweep too.
-- attempts, reason, due_at: of the first row of a channel that Redis refuses; attempts is 0 when it was not refused.
CREATE TABLE IF NOT EXISTS outbox_deferred (
  outbox_id BIGINT UNSIGNED NOT NULL,
  channel VARCHAR(255) NOT NULL,
  attempts INT UNSIGNED NOT NULL DEFAULT 0,
  reason VARCHAR(1000) NULL,
  due_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (outbox_id),
  KEY outbox_deferred_channel (channel, outbox_id),
  KEY outbox_deferred_attempts (attempts)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- One row: the instance that sweeps, and until when. impaired: it cannot reach all of Redis, so another instance may take over.
CREATE TABLE IF NOT EXISTS outbox_sweep (
  id TINYINT UNSIGNED NOT NULL,
  holder CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  impaired TINYINT UNSIGNED NOT NULL DEFAULT 0,
  lease_until DATETIME(3) NOT NULL DEFAULT '2000-01-01',
  PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
INSERT IGNORE INTO outbox_sweep (id) VALUES (1);
