-- A person is counted among those who were in segments on a day.
-- KEYS    g:{advertiser}:<segment>:<day> of each segment
-- ARGV    1 the person's 16 bytes, 2 seconds that a count lives
-- returns how many counts grew
local grown = 0
for _, key in ipairs(KEYS) do
  grown = grown + redis.call('PFADD', key, ARGV[1])
  if redis.call('TTL', key) < 0 then redis.call('EXPIRE', key, ARGV[2]) end
end
return grown
