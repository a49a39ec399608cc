-- A person was seen in a cluster: the hash names it for as long as what the others know of this visit lives.
-- KEYS    1 p:{tag} the person's hash
-- ARGV    1 the cluster's field, 2 <I now
-- returns 1, or 0 where the hash does not name the cluster (any more): nothing is written
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return 0 end
if #value >= 4 and struct.unpack('<I', value) < struct.unpack('<I', ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. string.sub(value, 5))
end
return 1
