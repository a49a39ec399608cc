-- Whom an exchange's id leads to; where it leads to nobody, what was shown under the id itself.
-- KEYS    1 m:{tag} the row of the match table, 2 f:{tag} the logs by advertiser, 3 b:{tag} the marks
-- ARGV    as of frequency_read
-- returns the person's 16 bytes; null where there is no row, no log and no other mark; else
--         {null, the logs (map), impressions of others, the clock in seconds}
redis.setresp(3)
local row = redis.call('GET', KEYS[1])
if row and #row == 16 then return row end
local logs, now = redis.call('HGETALL', KEYS[2]), now_of(ARGV[4])
local busy = mark_busy(KEYS[3], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), now, ARGV[4])
if busy == 0 and next(logs.map) == nil then return nil end
return {false, logs, busy, math.floor(now / 1000)}
