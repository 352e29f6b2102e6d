-- A row may name a notification instead: channel and body, which follow from it, are null then.
SET @pending = (
  SELECT COUNT(*) = 0 FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'outbox' AND column_name = 'notification_id'
);
SET @change = IF(
  @pending,
  'ALTER TABLE outbox ADD COLUMN notification_id BIGINT UNSIGNED NULL AFTER outbox_id, MODIFY channel VARCHAR(255) NULL, MODIFY body MEDIUMTEXT NULL',
  'DO 0'
);
PREPARE change_outbox FROM @change;
EXECUTE change_outbox;
DEALLOCATE PREPARE change_outbox;
