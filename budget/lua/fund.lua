-- Add to the wallet.
-- KEYS 4 answered op   ARGV 2 op id, 3 amount, 4 seconds that the op is remembered, 5 the most in a wallet
-- Returns done | duplicate | refused
if call('EXISTS', KEYS[4]) == 1 then return 'duplicate' end
local funded = number(call('HGET', KEYS[3], 'wallet|funded')) + tonumber(ARGV[3])
if funded > tonumber(ARGV[5]) then return 'refused' end
call('HSET', KEYS[3], 'wallet|funded', whole(funded))
call('SET', KEYS[4], '1', 'EX', ARGV[4])
journal('fund', 'op', ARGV[2], 'amount', ARGV[3])
return 'done'
