-- Revocations of tokens that have not expired. token_hash: empty for all tokens of the member that were issued before issued_before.
-- issued_before, expires_at: Unix seconds, as in the claims of a token.
CREATE TABLE IF NOT EXISTS revocation (
  member_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  token_hash CHAR(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  issued_before BIGINT UNSIGNED NOT NULL,
  expires_at BIGINT UNSIGNED NOT NULL,
  changed_at DATETIME(3) NOT NULL,
  PRIMARY KEY (member_id, token_hash),
  KEY revocation_change (changed_at),
  KEY revocation_retention (expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
