-- A request is decided with bids: they become holds and its mark goes, both at once. (Without bids: HDEL.)
-- KEYS    1 f:{tag} the logs by advertiser, 2 b:{tag} the marks
-- ARGV    1 our mark, 2 now in ms or 0, then for each bid two: the advertiser's field and
--         <IIIIII bid tag, campaign, line item, creative, seconds to hold, longest window
-- returns holds placed. A bid whose view or hold is known already is not entered again.
local placed = 0
local now, longest = clock(ARGV[2]), 0
for i = 3, #ARGV, 2 do
  local tag, campaign, line, creative, hold_s, window = struct.unpack('<IIIIII', ARGV[i + 1])
  local log = open_log(redis.call('HGET', KEYS[1], ARGV[i]), now)
  log.window = math.min(MONTH, math.max(log.window, window))
  purge(log, now)
  if not find(log, tag) then
    log.records[#log.records + 1] = {math.ceil(now + hold_s), campaign, line, creative, tag, HOLD, 1}
    placed = placed + 1
    longest = math.max(longest, hold_s)
  end
  close_log(KEYS[1], ARGV[i], log)
end
keep(KEYS[1], longest + 1)
redis.call('HDEL', KEYS[2], ARGV[1])
return placed
