-- Run in the database after it was restored to a point in the past, before notify-api is started; repeatable. Ids and revisions that were given
-- since then are known to clients, which take what has them for a repeat. Both continue from a number made of the present time, so that
-- they are larger also after a second restore of the same backup: ids from 100,000 for each second since 1970, well below 2^53.
SET @now = UNIX_TIMESTAMP();

SET @next = (SELECT GREATEST(COALESCE(MAX(notification_id), 0) + 1, @now * 100000) FROM notification);
SET @change = CONCAT('ALTER TABLE notification AUTO_INCREMENT = ', @next);
PREPARE raise_ids FROM @change;
EXECUTE raise_ids;
DEALLOCATE PREPARE raise_ids;

UPDATE member_state SET revision = GREATEST(revision + 1, @now);
-- Members whose first change was after that point.
INSERT IGNORE INTO member_state (member_id, revision) SELECT DISTINCT member_id, @now FROM notification WHERE member_id > 0;
