SELECT sessions FROM upload_tally WHERE principal = ?1
