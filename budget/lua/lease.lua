-- Open or top up a lease: money leaves every level of its path for one worker.
-- KEYS 4 lease, 5 workers, 6 leases of the worker, 7 paused accounts
-- ARGV 2 op id, 3 worker, 4 lease id, 5 wanted, 6 useful, 7 seconds of life that it brings its worker, 8 shares,
--      9 op ids kept, then account and limit ("": none) of each level, the wallet first
-- Returns {done | paused | empty | gone, granted, remaining, live workers, alive until, clock}
local levels = (#ARGV - 9) / 2
local names, limits, fields = {}, {}, {}
for i = 1, levels do
  names[i], limits[i] = ARGV[8 + 2 * i], ARGV[9 + 2 * i]
  fields[3 * i - 2] = names[i] .. (i == 1 and '|funded' or '|limit')
  fields[3 * i - 1] = names[i] .. '|leased'
  fields[3 * i] = names[i] .. '|spent'
end
local path = table.concat(names, '\n')
local held = call('HMGET', KEYS[3], unpack(fields))
local lease = call('HMGET', KEYS[4], 'path', 'granted', 'left', 'ops')
local ops = lease[4] or ''
local until_s = number(call('HGET', KEYS[5], ARGV[3]))

-- Available on the tightest level, under the limits kept or those told now.
local function remaining(told)
  local least = number(held[1]) - number(held[2]) - number(held[3])
  for i = 2, levels do
    local limit = told and limits[i] or held[3 * i - 2]
    if limit and limit ~= '' then
      least = math.min(least, tonumber(limit) - number(held[3 * i - 1]) - number(held[3 * i]))
    end
  end
  return least
end

local function live()
  local count = 0
  for _, value in ipairs(call('HVALS', KEYS[5])) do
    if tonumber(value) >= clock then count = count + 1 end
  end
  return count
end

local known = string.find('\n' .. ops, '\n' .. ARGV[2] .. ' ', 1, true)
if known then
  local granted = string.match(string.sub(ops, known), '^%S+ (%d+)')
  return {'done', tonumber(granted), remaining(false), live(), moment(math.max(until_s, 0)), moment(clock)}
end
if until_s < 0 then return {'gone', 0, 0, 1, '0', moment(clock)} end
if lease[1] and lease[1] ~= path then return redis.error_reply('PATH a lease keeps its path') end

until_s = math.max(until_s, tonumber(moment(clock + tonumber(ARGV[7]))))
call('HSET', KEYS[5], ARGV[3], moment(until_s))
local workers = live()

local status, granted = 'done', 0
for _, stopped in ipairs(call('SMISMEMBER', KEYS[7], unpack(names))) do
  if stopped == 1 then status = 'paused' end
end
local room = remaining(true)
if status == 'done' then
  if room <= 0 then
    status = 'empty'
  else
    local share = math.max(tonumber(ARGV[6]), math.floor(room / (tonumber(ARGV[8]) * workers)))
    granted = math.min(tonumber(ARGV[5]), share, room)
  end
end

local changed = granted > 0
for i = 2, levels do changed = changed or (held[3 * i - 2] or '') ~= limits[i] end
if changed then
  local sets = {}
  for i = 1, levels do
    sets[#sets + 1] = fields[3 * i - 1]
    sets[#sets + 1] = whole(number(held[3 * i - 1]) + granted)
    if i > 1 and limits[i] ~= '' then
      sets[#sets + 1] = fields[3 * i - 2]
      sets[#sets + 1] = limits[i]
    elseif i > 1 and held[3 * i - 2] then
      call('HDEL', KEYS[3], fields[3 * i - 2])
    end
  end
  call('HSET', KEYS[3], unpack(sets))
  journal('lease', 'op', ARGV[2], 'worker', ARGV[3], 'lease', ARGV[4], 'amount', whole(granted),
    'accounts', path, 'limits', table.concat(limits, '\n'))
end
if granted > 0 then
  call('HINCRBY', KEYS[1], 'g' .. ARGV[3], 1)
  ops = ops .. ARGV[2] .. ' ' .. whole(granted) .. '\n'
  local _, count = string.gsub(ops, '\n', '\n')
  if count > tonumber(ARGV[9]) then ops = string.sub(ops, string.find(ops, '\n', 1, true) + 1) end
  call('HSET', KEYS[4], 'path', path, 'granted', whole(number(lease[2]) + granted),
    'left', whole(number(lease[3]) + granted), 'ops', ops)
  if not lease[1] then
    call('HSET', KEYS[4], 'settled', '0')
    call('SADD', KEYS[6], ARGV[4])
  end
end
return {status, granted, room - granted, workers, moment(until_s), moment(clock)}
