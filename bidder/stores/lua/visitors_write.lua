-- What one advertiser knows of a person is replaced, if it is still what was read: compare and set.
-- KEYS    1 p:{tag} the person's hash, 2 h:{tag} the histories, 3 the tag's guard
-- ARGV    1 the advertiser's field, 2 the advertiser's id, 3 the profile that was read or '', 4 the history or '',
--         5 the guard or '', 6 the new profile, 7 the new history, 8 seconds to live, 9 <I when the person was seen; or,
--         of somebody of a cluster who was not seen, '' and 10 the cluster's field
-- returns 1 where it is done; 0 where the person is no longer in the cluster; else as `standing`, and nothing written
local person, histories, field, seen = KEYS[1], KEYS[2], ARGV[1], ARGV[9] ~= ''
if not seen and redis.call('HEXISTS', person, ARGV[10]) == 0 then return 0 end
if redis.call('HEXISTS', person, 'o') == 1
  or (redis.call('HGET', person, field) or '') ~= ARGV[3]
  or (redis.call('HGET', histories, field) or '') ~= ARGV[4]
  or (redis.call('GET', KEYS[3]) or '') ~= ARGV[5]
then
  return standing(person, histories, KEYS[3], field, ARGV[2])
end
if not seen then -- what is known of a browser that was not seen lives no longer than before
  redis.call('HSET', person, field, ARGV[6])
  redis.call('HSET', histories, field, ARGV[7])
  redis.call('EXPIRE', histories, math.min(MONTH, math.max(1, redis.call('TTL', person))))
  return 1
end
redis.call('HSET', person, field, ARGV[6], 's', ARGV[9])
redis.call('HSET', histories, field, ARGV[7])
keep(person, tonumber(ARGV[8]))
keep(histories, tonumber(ARGV[8]))
return 1
