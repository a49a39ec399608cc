-- A person's hash names a cluster, before the cluster names the person: erasure finds every cluster.
-- KEYS    1 p:{tag} the person's hash, 2 the tag's guard
-- ARGV    1 the cluster's field, 2 <I when, then the advertiser's id, 3 seconds to live, 4 most clusters of the advertiser
-- returns -1 where the person opted out, or was erased since, else the tags of clusters that the person left for this one
if redis.call('HEXISTS', KEYS[1], 'o') == 1 then return -1 end
if struct.unpack('<I', ARGV[2]) <= tonumber(redis.call('GET', KEYS[2]) or -1) then return -1 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], 's', string.sub(ARGV[2], 1, 4))
keep(KEYS[1], tonumber(ARGV[3]))
local mine, fields, left = {}, redis.call('HGETALL', KEYS[1]), {}
for i = 1, #fields, 2 do
  local name, value = fields[i], fields[i + 1]
  if name ~= ARGV[1] and string.sub(name, 1, 2) == 'c:' and string.sub(value, 5) == string.sub(ARGV[2], 5) then
    mine[#mine + 1] = {name, (struct.unpack('<I', value))}
  end
end
table.sort(mine, function(a, b) return a[2] < b[2] end)
for i = 1, #mine - tonumber(ARGV[4]) + 1 do
  redis.call('HDEL', KEYS[1], mine[i][1])
  left[#left + 1] = string.sub(mine[i][1], 3)
end
return left
