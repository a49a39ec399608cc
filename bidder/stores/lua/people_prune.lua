-- Fields of a hash that are older than a moment go; the key with the last of them.
-- KEYS    1 a hash of people
-- ARGV    1 the moment in seconds, then pairs: a prefix of fields' names, and where in the value <I seconds stand (from 1)
-- returns fields removed. A value that is too short to tell stays: whoever reads it finds it damaged.
local removed = 0
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  for n = 2, #ARGV, 2 do
    local prefix, at = ARGV[n], tonumber(ARGV[n + 1])
    if string.sub(entries[i], 1, #prefix) == prefix and #entries[i + 1] >= at + 3
      and struct.unpack('<I', entries[i + 1], at) < tonumber(ARGV[1]) then
      removed = removed + redis.call('HDEL', KEYS[1], entries[i])
      break
    end
  end
end
return removed
