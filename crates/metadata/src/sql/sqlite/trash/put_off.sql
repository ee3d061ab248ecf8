UPDATE trash SET tries = tries + 1, due_at = ?2 WHERE key = ?1
