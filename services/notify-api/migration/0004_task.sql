-- Long-running work. While a task runs, its text and data are in Redis; they come here with its end.
-- kind: null while there is only the member's cancel, which came before the task. lease_until: null once the task is over.
CREATE TABLE IF NOT EXISTS task (
  task_number BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  task_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  member_id BIGINT UNSIGNED NOT NULL,
  kind VARCHAR(64) NULL,
  title VARCHAR(200) NULL,
  status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  percent DOUBLE NULL,
  stage VARCHAR(200) NULL,
  text MEDIUMTEXT NULL,
  data JSON NULL,
  result JSON NULL,
  error VARCHAR(4000) NULL,
  lease_until DATETIME(3) NULL,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  finished_at DATETIME(3) NULL,
  PRIMARY KEY (task_number),
  UNIQUE KEY task_id (task_id),
  KEY task_page (member_id, task_number),
  KEY task_lease (lease_until)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
