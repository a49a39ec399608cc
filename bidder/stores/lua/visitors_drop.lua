-- All that one advertiser knows of a person goes, and that the person is in a cluster; nothing of other advertisers.
-- KEYS    1 p:{tag} the person's hash, 2 h:{tag} the histories, 3 f:{tag} what was shown
-- ARGV    1 the advertiser's field, 2 the cluster's field
-- returns the fields removed
return redis.call('HDEL', KEYS[1], ARGV[1], ARGV[2])
  + redis.call('HDEL', KEYS[2], ARGV[1])
  + redis.call('HDEL', KEYS[3], ARGV[1])
