-- What one advertiser knows of a person is replaced, if it is still what was read: compare and set.
-- KEYS    1 p:{tag} the person's hash, 2 h:{tag} the histories
-- ARGV    1 the advertiser's field, 2 the advertiser's id, 3 the profile that was read or '', 4 the history or '',
--         5 the new profile, 6 the new history, 7 seconds to live, 8 <I when the person was seen; or, of somebody of a
--         cluster who was not seen, '' and 9 the cluster's field
-- returns 1 where it is done; 0 where the person is no longer in the cluster; else as `standing`, and nothing written
local person, histories, field, seen = KEYS[1], KEYS[2], ARGV[1], ARGV[8] ~= ''
if not seen and redis.call('HEXISTS', person, ARGV[9]) == 0 then return 0 end
if redis.call('HEXISTS', person, 'o') == 1
  or (redis.call('HGET', person, field) or '') ~= ARGV[3]
  or (redis.call('HGET', histories, field) or '') ~= ARGV[4]
then
  return standing(person, histories, field, ARGV[2])
end
if not seen then -- what is known of a browser that was not seen lives no longer than before
  redis.call('HSET', person, field, ARGV[5])
  redis.call('HSET', histories, field, ARGV[6])
  redis.call('EXPIRE', histories, math.min(MONTH, math.max(1, redis.call('TTL', person))))
  return 1
end
redis.call('HSET', person, field, ARGV[5], 's', ARGV[8])
redis.call('HSET', histories, field, ARGV[6])
keep(person, tonumber(ARGV[7]))
keep(histories, tonumber(ARGV[7]))
return 1
