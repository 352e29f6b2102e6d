-- received: 1 when a device of the member has reported that it received the notification. Without an index, so that it is added at once.
SET @pending = (
  SELECT COUNT(*) = 0 FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'notification' AND column_name = 'received'
);
SET @change = IF(@pending, 'ALTER TABLE notification ADD COLUMN received TINYINT UNSIGNED NOT NULL DEFAULT 0', 'DO 0');
PREPARE change_notification FROM @change;
EXECUTE change_notification;
DEALLOCATE PREPARE change_notification;

-- What goes out to members without an open tab, once it is due. sent and dead rows stay until their notification is deleted.
-- due_at: when it is delivered; while an instance delivers it, when another one may. holder: the claim of that instance.
-- attempts: deliveries that were begun. reason: why the last one failed.
CREATE TABLE IF NOT EXISTS escalation (
  notification_id BIGINT UNSIGNED NOT NULL,
  way ENUM('push', 'webhook') NOT NULL,
  member_id BIGINT UNSIGNED NOT NULL,
  state ENUM('waiting', 'sent', 'dead') NOT NULL DEFAULT 'waiting',
  urgency ENUM('very-low', 'low', 'normal', 'high') NOT NULL,
  due_at DATETIME(3) NOT NULL,
  attempts INT UNSIGNED NOT NULL DEFAULT 0,
  holder CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  reason VARCHAR(255) NULL,
  changed_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  PRIMARY KEY (notification_id, way),
  KEY escalation_due (way, state, due_at, notification_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
