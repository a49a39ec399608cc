-- A cluster names a person; who was not seen for a month goes, and of too many who was not seen for the longest.
-- KEYS    1 c:{tag} the cluster
-- ARGV    1 the person's 16 bytes, 2 <I now, 3 seconds to live, 4 most members
-- returns {those who went, those who are in it beside the person}
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
keep(KEYS[1], tonumber(ARGV[3]))
local now = struct.unpack('<I', ARGV[2])
local others, entries, gone, members = {}, redis.call('HGETALL', KEYS[1]), {}, {}
for i = 1, #entries, 2 do
  if entries[i] ~= ARGV[1] then
    local seen = #entries[i + 1] == 4 and struct.unpack('<I', entries[i + 1]) or 0
    others[#others + 1] = {entries[i], seen}
  end
end
table.sort(others, function(a, b) return a[2] < b[2] end)
local surplus = #others + 1 - tonumber(ARGV[4])
for i, other in ipairs(others) do
  if i <= surplus or other[2] <= now - MONTH then
    redis.call('HDEL', KEYS[1], other[1])
    gone[#gone + 1] = other[1]
  else
    members[#members + 1] = other[1]
  end
end
return {gone, members}
