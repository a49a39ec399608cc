-- A row of the match table is about to lead to a person: the person's hash lists it first.
-- KEYS    1 p:{tag} the person's hash
-- ARGV    1 the row's field, 2 its value, 3 seconds to live, 4 the field of when the person was seen, 5 now as <I,
--         6 the field of opting out
-- returns the hash as a flat list, or 0 where the person has opted out: then nothing is written
if redis.call('HEXISTS', KEYS[1], ARGV[6]) == 1 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], ARGV[4], ARGV[5])
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return redis.call('HGETALL', KEYS[1])
