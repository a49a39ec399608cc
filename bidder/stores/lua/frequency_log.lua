-- An advertiser's log of one person: opened, put in order, closed. Stands before every script that writes one.
-- The layout is that of bidder/audience/frequency.py; Lua's record is {at, campaign, line, creative, bid tag, kind, count}.
local VERSION, HEAD, SIZE, MAX, MANY, MONTH = 1, 12, 24, 64, 65535, 30 * 86400
local AT, TAG, KIND, COUNT = 1, 5, 6, 7
local VIEW, HOLD = 0, 1

-- The time in seconds, as a fraction: `given` milliseconds of simulated time, or, where it is 0, the server's clock.
local function clock(given)
  given = tonumber(given)
  if given > 0 then return given / 1000 end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- Whether a bid was made before those whom the log is about were erased, or opted out: it leaves no trace then.
local function guarded(key, issued)
  local since = key and redis.call('GET', key)
  return since and tonumber(issued) <= tonumber(since)
end

local function open_log(value, now)
  local log = {given_up = 0, given_up_s = 0, window = 0, records = {}}
  if not value then return log end
  if #value < HEAD or (#value - HEAD) % SIZE ~= 0 or string.byte(value, 1) ~= VERSION then
    log.given_up, log.given_up_s = MANY, math.ceil(now) -- unreadable: reached, until that is a month ago
    log.window = MONTH
    return log
  end
  local _
  _, log.given_up, log.given_up_s, log.window = struct.unpack('<BxHII', value)
  for i = HEAD + 1, #value, SIZE do
    log.records[#log.records + 1] = {struct.unpack('<IIIIIHH', value, i)}
  end
  return log
end

-- Drop what no window reaches: views that are older than the longest, holds that have lapsed.
local function purge(log, now)
  local kept, floor = {}, math.floor(now)
  for _, r in ipairs(log.records) do
    if (r[KIND] == HOLD and r[AT] >= floor) or (r[KIND] == VIEW and r[AT] > floor - log.window) then
      kept[#kept + 1] = r
    end
  end
  log.records = kept
  if log.given_up_s <= floor - log.window then log.given_up, log.given_up_s = 0, 0 end
end

local function find(log, tag)
  for i, r in ipairs(log.records) do
    if r[TAG] == tag then return i, r end
  end
end

-- Views of the same three keys within one bucket become one record: counts summed, the later time, the later's tag.
local function merge(log, bucket)
  local kept, places = {}, {}
  for _, r in ipairs(log.records) do
    local name = string.format('%d.%d.%d.%d', r[2], r[3], r[4], math.floor(r[AT] / bucket))
    local place = r[KIND] == VIEW and places[name]
    if place then
      local other = kept[place]
      local later = r[AT] > other[AT] and r or other
      kept[place] = {later[AT], r[2], r[3], r[4], later[TAG], VIEW, math.min(MANY, r[COUNT] + other[COUNT])}
    else
      kept[#kept + 1] = r
      if r[KIND] == VIEW then places[name] = #kept end
    end
  end
  log.records = kept
end

-- At most MAX records: by merging in buckets of a 24th of the longest window, then of a quarter, then in one;
-- the oldest of what is still too many go to the header.
local function compact(log)
  for _, share in ipairs({24, 4, 1}) do
    if #log.records <= MAX then return end
    merge(log, math.max(1, log.window / share))
  end
  if #log.records <= MAX then return end
  table.sort(log.records, function(a, b) return a[AT] < b[AT] end)
  local kept, surplus = {}, #log.records - MAX
  for i, r in ipairs(log.records) do
    if i <= surplus then
      log.given_up = math.min(MANY, log.given_up + r[COUNT])
      log.given_up_s = math.max(log.given_up_s, r[AT])
    else
      kept[#kept + 1] = r
    end
  end
  log.records = kept
end

-- Write a log back, or remove its field where nothing is left in it; says whether it stands.
local function close_log(key, field, log)
  if #log.records == 0 and log.given_up == 0 then
    redis.call('HDEL', key, field)
    return false
  end
  compact(log)
  local parts = {struct.pack('<BxHII', VERSION, log.given_up, log.given_up_s, log.window)}
  for _, r in ipairs(log.records) do
    parts[#parts + 1] = struct.pack('<IIIIIHH', r[1], r[2], r[3], r[4], r[5], r[6], r[7])
  end
  redis.call('HSET', key, field, table.concat(parts))
  return true
end

-- Let a key live for `seconds` from now at least, and a month at most.
local function keep(key, seconds)
  seconds = math.min(MONTH, math.max(1, math.ceil(seconds)))
  if redis.call('TTL', key) < seconds then redis.call('EXPIRE', key, seconds) end
end
