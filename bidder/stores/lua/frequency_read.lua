-- A person, what the person was shown, and who else is deciding about the person right now.
-- KEYS    1 p:{tag} the person's hash, 2 f:{tag} the logs by advertiser, 3 b:{tag} the marks
-- ARGV    1 our mark, 2 impressions that we may bid on, 3 how long the mark stands in ms, 4 now in ms or 0
-- returns the person's hash (map) where there are no logs and no other marks, or where the person opted out; else
--         {the person's hash (map), the logs (map), impressions of others, the clock in seconds}
redis.setresp(3)
local person = redis.call('HGETALL', KEYS[1])
if person.map['o'] then return person end -- opted out: nothing is read or left
local logs = redis.call('HGETALL', KEYS[2])
local now = now_of(ARGV[4])
local busy = mark_busy(KEYS[3], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), now, ARGV[4])
if busy == 0 and next(logs.map) == nil then return person end
return {person, logs, busy, math.floor(now / 1000)}
