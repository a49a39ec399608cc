-- Stands before every script: the clock, the journal, and how numbers become text.
-- KEYS[1] clock: s the latest moment ever told, n the number of the last journal entry; of each worker g<worker> how
--         often it was granted money, h<worker> the cursor up to which it has heard
-- KEYS[2] journal   KEYS[3] accounts: "<account>|limit", "|leased", "|spent", "|late"; "wallet|funded", "wallet|absorbed"
-- ARGV[1] now in seconds; 0: the server's own time
-- Amounts are whole and below 2^53, so that doubles are exact; they become text by whole(), never by tostring().
-- 0 - x, not -x: minus nothing would become "-0", which is no integer to the server.
local call = redis.call

local function whole(amount) return string.format('%.0f', amount) end
local function moment(seconds) return string.format('%.3f', seconds) end
local function number(text) return tonumber(text or 0) end

local clock = number(call('HGET', KEYS[1], 's'))
do
  local now = tonumber(ARGV[1])
  if now == 0 then
    local time = call('TIME')
    now = tonumber(time[1]) + math.floor(time[2] / 1000) / 1000
  end
  if now > clock then  -- it never runs backward
    clock = now
    call('HSET', KEYS[1], 's', moment(clock))
  end
end

-- Appends one entry, and returns its number; the entry's id is its number.
local function journal(verb, ...)
  local n = call('HINCRBY', KEYS[1], 'n', 1)
  call('XADD', KEYS[2], whole(n) .. '-0', 'verb', verb, 'at', moment(clock), ...)
  return n
end

local function split(text)
  local parts = {}
  for part in string.gmatch(text, '[^\n]+') do parts[#parts + 1] = part end
  return parts
end
