-- A person's own keys go, once every row and cluster that the hash lists was dealt with.
-- KEYS    1 p:{tag} the person's hash, 2 h:{tag} histories, 3 f:{tag} views, 4 b:{tag} marks, 5 the tag's guard
-- ARGV    1 the field of opting out, 2 now in seconds, 3 seconds to live for the guard, 4 the prefix of rows' fields,
--         5 that of clusters', 6 and on: the fields that were dealt with
-- returns {keys removed} where all is gone, or {-1, fields that were listed meanwhile...} where nothing was done.
-- A tombstone stays: it names nobody.
local known, missing = {}, {-1}
for i = 6, #ARGV do known[ARGV[i]] = true end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local listed = string.sub(field, 1, #ARGV[4]) == ARGV[4] or string.sub(field, 1, #ARGV[5]) == ARGV[5]
  if listed and not known[field] then missing[#missing + 1] = field end
end
if #missing > 1 then return missing end
local out, left = redis.call('HGET', KEYS[1], ARGV[1]), redis.call('TTL', KEYS[1])
local removed = redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if out then
  redis.call('HSET', KEYS[1], ARGV[1], out)
  redis.call('EXPIRE', KEYS[1], math.max(1, left))
  removed = removed - 1
end
redis.call('SET', KEYS[5], ARGV[2], 'EX', ARGV[3])
return {removed}
