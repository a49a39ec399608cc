-- The requests that are being decided for one person right now: a hash of marks, each <dH until ms, impressions.
-- Stands before the scripts that leave a mark, which speak RESP3. A mark goes by HDEL.
local MAX_MARKS, MANY_BUSY = 64, 65535

-- The time in milliseconds: `given`, or, where that is 0, the server's.
local function now_of(given)
  given = tonumber(given)
  if given > 0 then return given end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Enter `imps` impressions under `mark` for `busy_ms`; returns how many stand under other marks. Where there are
-- too many marks we are not entered, and are told of so many that no cap lets us bid.
local function mark_busy(key, mark, imps, busy_ms, now, given)
  local busy, marks = 0, 0
  for name, value in pairs(redis.call('HGETALL', key).map) do
    local ends, count = struct.unpack('<dH', value)
    if name == mark then
      imps = imps + count
    elseif ends > now then
      busy, marks = busy + count, marks + 1
    else
      redis.call('HDEL', key, name)
    end
  end
  if marks >= MAX_MARKS then return MANY_BUSY end
  redis.call('HSET', key, mark, struct.pack('<dH', now + busy_ms, math.min(imps, MANY_BUSY)))
  redis.call('PEXPIRE', key, tonumber(given) > 0 and 60000 or busy_ms) -- simulated time says nothing of the server's
  return busy
end
