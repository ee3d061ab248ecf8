UPDATE blob SET lease_until = max(lease_until, ?2)
WHERE id = ?1
