-- A person opts out: from here on nothing is written about them, and all that stood with them goes, but for the lists
-- of rows and clusters, which are worked off next: who asks again after a crash finds them here.
-- KEYS    1 p:{tag} the person's hash, 2 h:{tag} histories, 3 f:{tag} views, 4 b:{tag} marks, 5 the tag's guard
-- ARGV    1 the field of opting out, 2 now as <I, 3 seconds to live, 4 now in seconds, 5 seconds to live for the guard,
--         6 and on: prefixes of the fields that are lists
-- returns the lists: fields and values by turns
local lists = {}
local entries = redis.call('HGETALL', KEYS[1])
for n = 1, #entries, 2 do
  local field, listed = entries[n], false
  for i = 6, #ARGV do listed = listed or string.sub(field, 1, #ARGV[i]) == ARGV[i] end
  if listed then
    lists[#lists + 1] = field
    lists[#lists + 1] = entries[n + 1]
  elseif field ~= ARGV[1] then
    redis.call('HDEL', KEYS[1], field)
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
redis.call('SET', KEYS[5], ARGV[4], 'EX', ARGV[5])
return lists
