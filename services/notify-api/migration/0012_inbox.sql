-- kind, expires_at: as the sender gave them. An absent redirect path is an empty redirect_path.
-- count: number of notifications that this one stands for: with the same collapse key, each replaces the one before.
-- seen, archived: of the member's own notifications. What was read counts as seen, also while seen is 0.
-- Without indexes, so that the columns are added at once, however large the table is.
SET @pending = (
  SELECT COUNT(*) = 0 FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'notification' AND column_name = 'archived'
);
SET @change = IF(
  @pending,
  'ALTER TABLE notification
     ADD COLUMN kind VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
     ADD COLUMN count INT UNSIGNED NOT NULL DEFAULT 1,
     ADD COLUMN expires_at DATETIME(3) NULL,
     ADD COLUMN seen TINYINT UNSIGNED NOT NULL DEFAULT 0,
     ADD COLUMN archived TINYINT UNSIGNED NOT NULL DEFAULT 0',
  'DO 0'
);
PREPARE change_notification FROM @change;
EXECUTE change_notification;
DEALLOCATE PREPARE change_notification;

-- The same names: statements of older instances force them, and sort until all instances are new.
-- notification_unread contains all that is needed to count, and both all that is needed to find the ids of a page.
SET @pending = (
  SELECT COUNT(*) = 0 FROM information_schema.statistics
  WHERE table_schema = DATABASE() AND table_name = 'notification' AND column_name = 'archived'
);
SET @change = IF(
  @pending,
  'ALTER TABLE notification
     DROP INDEX notification_page,
     DROP INDEX notification_unread,
     ADD INDEX notification_page (member_id, archived, notification_id, kind, expires_at),
     ADD INDEX notification_unread (member_id, read_at, archived, notification_id, kind, expires_at, seen)',
  'DO 0'
);
PREPARE change_index FROM @change;
EXECUTE change_index;
DEALLOCATE PREPARE change_index;

-- What a member has done with a broadcast, besides reading it: that is in broadcast_read.
CREATE TABLE IF NOT EXISTS broadcast_state (
  member_id BIGINT UNSIGNED NOT NULL,
  notification_id BIGINT UNSIGNED NOT NULL,
  seen TINYINT UNSIGNED NOT NULL DEFAULT 0,
  archived TINYINT UNSIGNED NOT NULL DEFAULT 0,
  removed TINYINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (member_id, notification_id),
  KEY broadcast_state_retention (notification_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- broadcast_after: the member has the broadcasts with greater ids. Null until the member is first seen; 0 for members of older versions.
SET @pending = (
  SELECT COUNT(*) = 0 FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'member_state' AND column_name = 'broadcast_after'
);
SET @change = IF(@pending, 'ALTER TABLE member_state ADD COLUMN broadcast_after BIGINT UNSIGNED NULL DEFAULT 0', 'DO 0');
PREPARE change_state FROM @change;
EXECUTE change_state;
DEALLOCATE PREPARE change_state;

-- The newest notification of a member with a collapse key. It may have been read or deleted since.
CREATE TABLE IF NOT EXISTS collapse (
  member_id BIGINT UNSIGNED NOT NULL,
  collapse_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  notification_id BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (member_id, collapse_key),
  KEY collapse_retention (notification_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- When notifications with expires_at are due to be deleted. A table of its own, so that others do not pay for an index.
CREATE TABLE IF NOT EXISTS notification_expiry (
  notification_id BIGINT UNSIGNED NOT NULL,
  expires_at DATETIME(3) NOT NULL,
  PRIMARY KEY (notification_id),
  KEY notification_expiry_due (expires_at, notification_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
INSERT IGNORE INTO lease (job) VALUES ('expiry');
