-- A bid was won: its hold stands for longer, or is placed anew where it has lapsed; a view stays what it is.
-- KEYS    1 f:{tag} the logs by advertiser, 2 the tag's guard (may be left out)
-- ARGV    1 now in ms or 0, 2 the advertiser's field, 3 <IIIIII bid tag, campaign, line item, creative,
--         seconds to hold, longest window, 4 when the bid was made, in seconds
-- returns 1, or 0 where there is a view, or the bid is older than an erasure
if guarded(KEYS[2], ARGV[4]) then return 0 end
local now = clock(ARGV[1])
local tag, campaign, line, creative, hold_s, window = struct.unpack('<IIIIII', ARGV[3])
local log = open_log(redis.call('HGET', KEYS[1], ARGV[2]), now)
local place, known = find(log, tag)
if known and known[KIND] == VIEW then return 0 end
local ends = math.max(known and known[AT] or 0, math.ceil(now + hold_s))
log.window = math.min(MONTH, math.max(log.window, window))
log.records[place or #log.records + 1] = {ends, campaign, line, creative, tag, HOLD, 1}
purge(log, now)
close_log(KEYS[1], ARGV[2], log)
keep(KEYS[1], ends - now + 1)
return 1
