-- Members with a text id. In the columns named member_id, 2^53 + member_number stands for the text: integer ids are less than 2^53.
CREATE TABLE IF NOT EXISTS text_member (
  member_number BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  text_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (member_number),
  UNIQUE KEY text_id (text_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
