DELETE FROM account WHERE kind = ?1 AND name = ?2
