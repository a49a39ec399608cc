-- What one advertiser knows of a person, and the clusters that the person is in.
-- KEYS    1 p:{tag} the person's hash, 2 h:{tag} the histories, 3 the tag's guard
-- ARGV    1 the advertiser's field, 2 the advertiser's id
-- returns as the library's `standing`
return standing(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2])
