-- I4: the target, where there is one, was found in this transaction. A digest named twice is one
-- edge; an edge that waits takes its target when the index is pushed again.
INSERT INTO manifest_child (parent_id, digest, repository_id, child_id) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (parent_id, digest) DO UPDATE SET child_id = excluded.child_id
WHERE child_id IS NULL AND excluded.child_id IS NOT NULL
