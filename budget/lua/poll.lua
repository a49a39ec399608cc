-- A worker hears what became of its bids, and stays alive.
-- KEYS 4 workers, 5 inbox of the worker, 6 paused accounts
-- ARGV 2 worker, 3 cursor, 4 seconds of life that it brings, 5 the most entries
-- Returns {clock, alive until ("0": reclaimed), entries as {id, {field, value, ...}}, paused, dead workers, live workers,
--          last entry}
local alive_until = call('HGET', KEYS[4], ARGV[2])
local gone = alive_until and tonumber(alive_until) < 0
local until_s = 0
if not gone then
  until_s = math.max(number(alive_until), tonumber(moment(clock + tonumber(ARGV[4]))))
  call('HSET', KEYS[4], ARGV[2], moment(until_s))
end
local dead, live, workers = {}, 0, call('HGETALL', KEYS[4])
for i = 1, #workers, 2 do
  local value = tonumber(workers[i + 1])
  if value >= clock then live = live + 1 elseif value >= 0 then dead[#dead + 1] = workers[i] end
end
local entries, told = {}, clock
if not gone then
  if ARGV[3] ~= '' then
    local heard = string.match(ARGV[3], '^%d+')
    call('XTRIM', KEYS[5], 'MINID', '=', heard .. '-1')
    entries = call('XRANGE', KEYS[5], '(' .. ARGV[3], '+', 'COUNT', ARGV[5])
  else
    entries = call('XRANGE', KEYS[5], '-', '+', 'COUNT', ARGV[5])
  end
  if #entries >= tonumber(ARGV[5]) then
    -- What is not told yet happened after the last that is told, at the earliest at its moment.
    local last = entries[#entries][2]
    for i = 1, #last, 2 do if last[i] == 'at' then told = tonumber(last[i + 1]) end end
  end
end
return {moment(told), moment(until_s), entries, call('SMEMBERS', KEYS[6]), dead, live,
  number(call('HGET', KEYS[1], 'n'))}
