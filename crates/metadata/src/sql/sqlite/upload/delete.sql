-- I5: the caller moves the key to the object table or to the trash in this transaction.
DELETE FROM upload WHERE id = ?1
