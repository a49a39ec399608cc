-- A row of the match table leads to a person, unless its id was opted out.
-- KEYS    1 m:{tag} the row
-- ARGV    1 the person's 16 bytes, 2 seconds to live, 3 what stands in the row of an id that was opted out
-- returns 1, or 0 where nothing was written
if redis.call('GET', KEYS[1]) == ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
