-- ARGV: prefix, the revision that the changes were worked out from, the one after them, and of each item: id, revision,
-- body. Returns 1, or 0 where another change came in between and nothing was done.
local P = ARGV[1]
if (redis.call('GET', P .. 'revision') or '0') ~= ARGV[2] then return 0 end
redis.call('SET', P .. 'revision', ARGV[3])
for place = 4, #ARGV, 3 do
  redis.call('HSET', P .. 'items', ARGV[place], ARGV[place + 2])
  redis.call('ZADD', P .. 'revisions', ARGV[place + 1], ARGV[place])
end
return 1
