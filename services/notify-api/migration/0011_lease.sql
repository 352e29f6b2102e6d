-- Jobs that one instance runs at a time: the instance, and until when. impaired: it cannot do all of the job, so another one may take over.
CREATE TABLE IF NOT EXISTS lease (
  job VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  holder CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  impaired TINYINT UNSIGNED NOT NULL DEFAULT 0,
  lease_until DATETIME(3) NOT NULL DEFAULT '2000-01-01',
  PRIMARY KEY (job)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
INSERT IGNORE INTO lease (job) VALUES ('sweep'), ('retention');
DROP TABLE IF EXISTS outbox_sweep;
