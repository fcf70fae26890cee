-- ARGV: prefix, number, how many events to look at, and texts. Of the events after that number: {the last one looked at
-- or '', {number, row, ...}}, the rows being those that hold one of the texts.
local P, last, found = ARGV[1], '', {}
for _, entry in ipairs(redis.call('XRANGE', P .. 'arrived', '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])) do
  last = string.match(entry[1], '^%d+')
  local row = entry[2][2]
  for place = 4, #ARGV do
    if string.find(row, ARGV[place], 1, true) then
      found[#found + 1], found[#found + 2] = last, row
      break
    end
  end
end
return {last, found}
