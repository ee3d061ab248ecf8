SELECT seq, at, actor, action, repository_id, tag, digest, previous, detail
FROM journal
WHERE seq > ?1
ORDER BY seq
LIMIT ?2
