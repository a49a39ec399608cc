-- What stands of a person with one advertiser. Stands before the scripts that read or write it.
local MONTH = 30 * 86400

-- {opted out 1|0, profile or '', history or '', tags of the advertiser's clusters that the person is in, one after the
-- other, when the person was erased or '' (the guard)}
local function standing(person, histories, guard, field, advertiser)
  if redis.call('HEXISTS', person, 'o') == 1 then return {1, '', '', '', ''} end
  local tags = {}
  for _, name in ipairs(redis.call('HKEYS', person)) do
    if string.sub(name, 1, 2) == 'c:' and string.sub(redis.call('HGET', person, name), 5) == advertiser then
      tags[#tags + 1] = string.sub(name, 3)
    end
  end
  return {
    0, redis.call('HGET', person, field) or '', redis.call('HGET', histories, field) or '', table.concat(tags),
    redis.call('GET', guard) or ''
  }
end

-- Let a key live for `seconds` from now at least, and a month at most.
local function keep(key, seconds)
  seconds = math.min(MONTH, math.max(1, math.ceil(seconds)))
  if redis.call('TTL', key) < seconds then redis.call('EXPIRE', key, seconds) end
end
