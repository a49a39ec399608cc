-- A person's id is about to be handed to exchanges: which of them may have it once more today. All are counted.
-- KEYS    1 p:{tag} the person's hash
-- ARGV    1 the field of opting out, 2 the field of syncs, 3 the field of when the person was seen, 4 now as <I,
--         5 seconds to live, 6 today as a day's number, 7 how many at most, then for each exchange its key as <I
--         and its limit
-- returns a list of places (1 the first exchange), or 0 where the person has opted out: then nothing is written
-- Shapes  the field is <IHB for each exchange of today: key, day, how often
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end
local today, most, counts, order, granted = tonumber(ARGV[6]), tonumber(ARGV[7]), {}, {}, {}
local value = redis.call('HGET', KEYS[1], ARGV[2]) or ''
for at = 1, #value - 6, 7 do
  local key, day, count = struct.unpack('<IHB', value, at)
  if day == today then
    counts[key] = count
    order[#order + 1] = key
  end
end
for n = 8, #ARGV, 2 do
  local key = struct.unpack('<I', ARGV[n])
  local count = counts[key] or 0
  if #granted < most and count < tonumber(ARGV[n + 1]) then
    if count == 0 then order[#order + 1] = key end
    counts[key] = count + 1
    granted[#granted + 1] = (n - 6) / 2
  end
end
if #granted == 0 then return granted end
local packed = {}
for place, key in ipairs(order) do packed[place] = struct.pack('<IHB', key, today, counts[key]) end
redis.call('HSET', KEYS[1], ARGV[2], table.concat(packed))
if redis.call('TTL', KEYS[1]) < 0 then
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end
return granted
