-- An impression: the hold of its bid becomes a view, or a view is entered where there is no hold.
-- KEYS    1 f:{tag} the logs by advertiser, 2 the tag's guard (may be left out)
-- ARGV    1 now in ms or 0, 2 the advertiser's field, 3 <IIIIII bid tag, campaign, line item, creative,
--         seconds since it was seen, longest window, 4 when the bid was made, in seconds
-- returns 1, or 0 where this bid's view is known, or the bid is older than an erasure. What is too old in the other
--         advertisers' logs goes too.
if guarded(KEYS[2], ARGV[4]) then return 0 end
local now = clock(ARGV[1])
local tag, campaign, line, creative, age_s, window = struct.unpack('<IIIIII', ARGV[3])
local log = open_log(redis.call('HGET', KEYS[1], ARGV[2]), now)
local place, known = find(log, tag)
if known and known[KIND] == VIEW then return 0 end
log.window = math.min(MONTH, math.max(log.window, window))
if age_s >= log.window then return 0 end
log.records[place or #log.records + 1] = {math.ceil(now) - age_s, campaign, line, creative, tag, VIEW, 1}
purge(log, now)
close_log(KEYS[1], ARGV[2], log)
keep(KEYS[1], log.window)
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if field ~= ARGV[2] then
    local other = open_log(redis.call('HGET', KEYS[1], field), now)
    local before = #other.records + other.given_up
    purge(other, now)
    if #other.records + other.given_up ~= before then close_log(KEYS[1], field, other) end
  end
end
return 1
