-- id_step: distance from each id of the request's notifications to the next. The step of the server may have changed since.
SET @pending = (
  SELECT COUNT(*) = 0 FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'idempotency_key' AND column_name = 'id_step'
);
SET @change = IF(
  @pending,
  'ALTER TABLE idempotency_key ADD COLUMN id_step INT UNSIGNED NOT NULL DEFAULT 1 AFTER first_notification_id',
  'DO 0'
);
PREPARE change_key FROM @change;
EXECUTE change_key;
DEALLOCATE PREPARE change_key;
