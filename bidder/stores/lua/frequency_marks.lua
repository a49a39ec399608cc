-- The requests that are being decided for one person right now, in one string of records {mark, until ms, impressions}.
-- Stands before every script that reads or ends a mark.
local MARK_SIZE, MAX_MARKS, MANY_BUSY = 18, 64, 65535

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
  local busy, kept = 0, ''
  local marks = redis.call('GET', key)
  if marks then
    for i = 1, #marks, MARK_SIZE do
      local name, ends, count = struct.unpack('<c8dH', marks, i)
      if name == mark then
        imps = imps + count
      elseif ends > now then
        busy = busy + count
        kept = kept .. string.sub(marks, i, i + MARK_SIZE - 1)
      end
    end
    if #kept >= MARK_SIZE * MAX_MARKS then return MANY_BUSY end
  end
  local life_ms = tonumber(given) > 0 and 60000 or busy_ms -- simulated time says nothing of the server's
  imps = math.min(imps, MANY_BUSY)
  redis.call('SET', key, kept .. struct.pack('<c8dH', mark, now + busy_ms, imps), 'PX', life_ms)
  return busy
end

-- Strike out a mark; the others keep their time.
local function unmark(key, mark)
  local marks = redis.call('GET', key)
  if not marks then return end
  if #marks == MARK_SIZE then
    if string.sub(marks, 1, 8) == mark then redis.call('DEL', key) end
    return
  end
  local kept = ''
  for i = 1, #marks, MARK_SIZE do
    if string.sub(marks, i, i + 7) ~= mark then kept = kept .. string.sub(marks, i, i + MARK_SIZE - 1) end
  end
  if kept == '' then redis.call('DEL', key) else redis.call('SET', key, kept, 'KEEPTTL') end
end
