-- A cluster names a person, unless it is full; who was not seen for a month goes.
-- KEYS    1 c:{tag} the cluster
-- ARGV    1 the person's 16 bytes, 2 <I now, 3 seconds to live, 4 most members
-- returns {1 where it names the person, else 0; those who went, those who are in it beside the person}
local now = struct.unpack('<I', ARGV[2])
local entries, gone, members = redis.call('HGETALL', KEYS[1]), {}, {}
for i = 1, #entries, 2 do
  if entries[i] ~= ARGV[1] then
    local seen = #entries[i + 1] == 4 and struct.unpack('<I', entries[i + 1]) or 0
    if seen <= now - MONTH then
      redis.call('HDEL', KEYS[1], entries[i])
      gone[#gone + 1] = entries[i]
    else
      members[#members + 1] = entries[i]
    end
  end
end
if #members >= tonumber(ARGV[4]) and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return {0, gone, members} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
keep(KEYS[1], tonumber(ARGV[3]))
return {1, gone, members}
