-- Liveness: what loses an edge stays a lease longer.
UPDATE blob SET lease_until = max(lease_until, ?2)
WHERE id IN (SELECT blob_id FROM manifest_blob WHERE manifest_id = ?1)
