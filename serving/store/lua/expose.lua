-- ARGV: prefix, milliseconds after which a slate is forgotten (0: never), '1' if HMACs are given, and of each slate: id,
-- body, HMAC of the user or '', HMAC of the visitor or ''. Returns OK, or who is erased, and then nothing was done.
-- One that is known already stays as it was.
local forget_ms, FIELDS = ARGV[2], 4
local refused = refusal(ARGV[3], 6, FIELDS)
if refused then return refused end

local function keep(id, body)
  local key, is_new = P .. 'exposure:' .. id
  if forget_ms == '0' then
    is_new = redis.call('SET', key, body, 'NX')
  else
    is_new = redis.call('SET', key, body, 'NX', 'PX', forget_ms)
  end
  if is_new then redis.call('XADD', P .. 'shown', redis.call('INCR', P .. 'shown_number') .. '-0', 'i', id) end
end

-- The oldest of those that have expired, a few at a time; more than come in, so that they do grow fewer.
local function forget_expired(most)
  for _, entry in ipairs(redis.call('XRANGE', P .. 'shown', '-', '+', 'COUNT', most)) do
    if redis.call('EXISTS', P .. 'exposure:' .. entry[2][2]) == 1 then return end
    redis.call('XDEL', P .. 'shown', entry[1])
  end
end

for place = 4, #ARGV, FIELDS do keep(ARGV[place], ARGV[place + 1]) end
if forget_ms ~= '0' then forget_expired(#ARGV) end
return redis.status_reply('OK')
