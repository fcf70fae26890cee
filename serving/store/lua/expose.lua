-- ARGV: prefix, milliseconds after which a slate is forgotten (0: never), and of each slate: id, body.
-- One that is known already stays as it was.
local forget_ms = ARGV[2]
for place = 3, #ARGV, 2 do
  local key = ARGV[1] .. 'exposure:' .. ARGV[place]
  if forget_ms == '0' then
    redis.call('SET', key, ARGV[place + 1], 'NX')
  else
    redis.call('SET', key, ARGV[place + 1], 'NX', 'PX', forget_ms)
  end
end
return redis.status_reply('OK')
