-- What the steps of an erasure share. One erasure at a time: whoever lost the lock, because it was held up for long, may
-- not go on. The lock lies under a key of its own and ends by itself when nobody renews it.
local P, TOKEN = ARGV[1], ARGV[2]
local LOST = 'another erasure took over; ask again'
local function is_ours() return redis.call('GET', P .. 'erasing_lock') == TOKEN end

-- The next events after a number, into the stream that takes the place of the first one: what is deleted from a stream
-- stays in its memory and its files as long as anything beside it, so it is left out of a copy instead.
-- Returns the last number looked at and how many they were.
local function copy(after, most)
  local page = redis.call('XRANGE', P .. 'arrived', '(' .. after .. '-0', '+', 'COUNT', most)
  for _, entry in ipairs(page) do
    after = string.match(entry[1], '^%d+')
    local row = redis.call('HGET', P .. 'arrived_rows', after) or entry[2][2]
    if row ~= '' then redis.call('XADD', P .. 'arrived_anew', entry[1], 'e', row) end
  end
  return after, #page
end

