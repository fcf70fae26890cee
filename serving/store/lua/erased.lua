-- Whether a call names somebody who is erased. Redis cannot make an HMAC, so the caller gives those of the ids it names,
-- two beside each other ('' for none), `step` arguments apart; `knows` is '1' where it knows the key that they need.
-- Returns nil, or {'erased', key, HMAC, ...}: the caller takes out what names those and asks again.
local P = ARGV[1]
local function refusal(knows, first, step)
  if redis.call('EXISTS', P .. 'erased') == 0 then return nil end
  local found, seen = {'erased', redis.call('GET', P .. 'erasing_key')}, {}
  if knows ~= '1' then return found end
  for place = first, #ARGV, step do
    for _, digest in ipairs({ARGV[place], ARGV[place + 1]}) do
      if digest ~= '' and not seen[digest] then
        seen[digest] = true
        if redis.call('HEXISTS', P .. 'erased', digest) == 1 then found[#found + 1] = digest end
      end
    end
  end
  return #found > 2 and found or nil
end

