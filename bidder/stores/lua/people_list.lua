-- A row of the match table is about to lead to a person: the person's hash lists it first.
-- KEYS    1 p:{tag} the person's hash, 2 the tag's guard
-- ARGV    1 the row's field, 2 its value, 3 seconds to live, 4 the field of when the person was seen, 5 now as <I,
--         6 the field of opting out, 7 the mark of a row that is taken over from somebody, or ''
-- returns the hash as a flat list, or 0 where the person has opted out, -1 where the person was erased: then nothing is
-- written. A row that is listed already keeps the mark that it has, or has none.
if redis.call('HEXISTS', KEYS[1], ARGV[6]) == 1 then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then return -1 end
local mark, before = ARGV[7], redis.call('HGET', KEYS[1], ARGV[1])
if before then
  local at = string.find(before, '\0', 5, true)
  mark = at and string.sub(before, at) or ''
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. mark, ARGV[4], ARGV[5])
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return redis.call('HGETALL', KEYS[1])
