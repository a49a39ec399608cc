-- A person's hash names a cluster, before the cluster names the person: erasure finds every cluster.
-- KEYS    1 p:{tag} the person's hash, 2 the tag's guard
-- ARGV    1 the cluster's field, 2 <I when, then the advertiser's id, 3 seconds to live, 4 most clusters of the advertiser
-- returns 1, or 0 where nothing is written: the person opted out, or was erased since, or has the most clusters
if redis.call('HEXISTS', KEYS[1], 'o') == 1 then return 0 end
if struct.unpack('<I', ARGV[2]) <= tonumber(redis.call('GET', KEYS[2]) or -1) then return 0 end
local others, fields = 0, redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local name, value = fields[i], fields[i + 1]
  if name ~= ARGV[1] and string.sub(name, 1, 2) == 'c:' and string.sub(value, 5) == string.sub(ARGV[2], 5) then
    if struct.unpack('<I', value) <= struct.unpack('<I', ARGV[2]) - MONTH then
      redis.call('HDEL', KEYS[1], name) -- what the others knew of it has ended
    else
      others = others + 1
    end
  end
end
if others >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], 's', string.sub(ARGV[2], 1, 4))
keep(KEYS[1], tonumber(ARGV[3]))
return 1
