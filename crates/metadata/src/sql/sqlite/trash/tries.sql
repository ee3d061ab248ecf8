SELECT tries FROM trash WHERE key = ?1
