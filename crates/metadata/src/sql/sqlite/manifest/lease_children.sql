-- Liveness: what loses an edge stays a lease longer.
UPDATE manifest SET lease_until = max(lease_until, ?2)
WHERE id IN (SELECT child_id FROM manifest_child WHERE parent_id = ?1)
