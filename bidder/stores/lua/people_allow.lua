-- The tombstone of a row of the match table goes.
-- KEYS    1 m:{tag} the row
-- ARGV    1 what stands in the row of an id that was opted out
-- returns 1, or 0 where there was none
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
