-- ARGV: prefix, revision, limit. Returns {{id, revision, ...}, {body, ...}, 1 if it begins anew}: whoever asks after a
-- revision that was never reached knows of changes that the server lost, and is told everything from the beginning.
local P, after = ARGV[1], ARGV[2]
local anew = tonumber(after) > tonumber(redis.call('GET', P .. 'revision') or '0')
if anew then after = '0' end
local found = redis.call(
  'ZRANGEBYSCORE', P .. 'revisions', '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
local bodies = {}
for place = 1, #found, 2 do bodies[#bodies + 1] = redis.call('HGET', P .. 'items', found[place]) end
return {found, bodies, anew and 1 or 0}
