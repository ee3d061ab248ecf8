INSERT INTO journal (at, actor, action, repository_id, tag, digest, previous, detail)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
