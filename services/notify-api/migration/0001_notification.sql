-- A notification of one member, or a broadcast: one row for everybody with member_id 0, so that the ids of both are one sequence.
CREATE TABLE IF NOT EXISTS notification (
  notification_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  member_id BIGINT UNSIGNED NOT NULL,
  message VARCHAR(4000) NOT NULL,
  redirect_path VARCHAR(2048) NOT NULL,
  data JSON NULL,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  read_at DATETIME(3) NULL,
  PRIMARY KEY (notification_id),
  KEY notification_page (member_id, notification_id),
  KEY notification_unread (member_id, read_at, notification_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Who has read which broadcast.
CREATE TABLE IF NOT EXISTS broadcast_read (
  member_id BIGINT UNSIGNED NOT NULL,
  notification_id BIGINT UNSIGNED NOT NULL,
  read_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (member_id, notification_id),
  KEY broadcast_read_retention (notification_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Locked first by everything that changes what a member has read. revision grows with each change.
CREATE TABLE IF NOT EXISTS member_state (
  member_id BIGINT UNSIGNED NOT NULL,
  revision BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (member_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
