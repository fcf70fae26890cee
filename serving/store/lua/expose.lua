-- ARGV: prefix, milliseconds after which a slate is forgotten (0: never), '1' if HMACs are given, and of each slate: id,
-- body, HMAC of the user or '', HMAC of the visitor or ''. Returns OK, or who is erased, and then nothing was done.
-- One that is known already stays as it was.
local forget_ms, FIELDS = ARGV[2], 4
local refused = refusal(ARGV[3], 6, FIELDS)
if refused then return refused end
for place = 4, #ARGV, FIELDS do
  local key = P .. 'exposure:' .. ARGV[place]
  if forget_ms == '0' then
    redis.call('SET', key, ARGV[place + 1], 'NX')
  else
    redis.call('SET', key, ARGV[place + 1], 'NX', 'PX', forget_ms)
  end
end
return redis.status_reply('OK')
