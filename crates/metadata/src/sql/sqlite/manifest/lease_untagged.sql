-- Liveness: what loses its last tag stays a lease longer.
UPDATE manifest SET lease_until = max(lease_until, ?2)
WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM tag WHERE manifest_id = ?1)
