-- A worker hears what became of its bids, and stays alive.
-- KEYS 4 workers, 5 inbox of the worker, 6 paused accounts
-- ARGV 2 worker, 3 cursor: "" or <id> <at> <bid> of the last entry heard, 4 seconds of life that it brings,
--      5 the most entries
-- Returns {clock, alive until ("0": reclaimed, or the cursor's entry was never told), entries as
--          {id, {field, value, ...}}, paused, dead workers, live workers, last entry, grants of the worker}
local alive_until = call('HGET', KEYS[4], ARGV[2])
local gone = alive_until and tonumber(alive_until) < 0
local heard = string.match(ARGV[3], '^[^ ]+')
if heard and not gone and call('HGET', KEYS[1], 'h' .. ARGV[2]) ~= ARGV[3] then
  -- A replica that took over without its last moments writes other entries under the same numbers.
  local known, at, bid = call('XRANGE', KEYS[5], heard, heard)[1], '', ''
  for i = 1, known and #known[2] or 0, 2 do
    if known[2][i] == 'at' then at = known[2][i + 1] elseif known[2][i] == 'bid' then bid = known[2][i + 1] end
  end
  gone = ARGV[3] ~= heard .. ' ' .. at .. ' ' .. bid
  if not gone then call('HSET', KEYS[1], 'h' .. ARGV[2], ARGV[3]) end
end
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
  if heard then
    call('XTRIM', KEYS[5], 'MINID', '=', string.match(heard, '^%d+') .. '-1')
    entries = call('XRANGE', KEYS[5], '(' .. heard, '+', 'COUNT', ARGV[5])
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
  number(call('HGET', KEYS[1], 'n')), number(call('HGET', KEYS[1], 'g' .. ARGV[2]))}
