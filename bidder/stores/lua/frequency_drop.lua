-- A bid was lost: its hold goes; a view stays.
-- KEYS    1 f:{tag} the logs by advertiser
-- ARGV    1 now in ms or 0, 2 the advertiser's field, 3 <I bid tag
-- returns 1, or 0 where there was no hold
local now = clock(ARGV[1])
local value = redis.call('HGET', KEYS[1], ARGV[2])
if not value then return 0 end
local log = open_log(value, now)
local place, known = find(log, (struct.unpack('<I', ARGV[3])))
if not known or known[KIND] ~= HOLD then return 0 end
table.remove(log.records, place)
purge(log, now)
close_log(KEYS[1], ARGV[2], log)
return 1
