-- One host asks the store for its part of a pool's cap (core/block.h has the words; tests/sim/ledger.h is the same step
-- in C, and the two are held against each other). It runs at one instant, and looks at O(log hosts) entries.
--
-- KEYS  1 book: a hash   2 entries: a hash, by host   sorted sets of hosts: 3 expiry   4 waiting   5 rich   6 spare
-- ARGV  1 host  2 number  3 epoch  4 not after, us  5 claim  6 held  7 want  8 weight  9 size  10 yields  11 adrift
--       12 lease, us  13 margin, us  14 channel of hints, before a host's name
-- Gives {"OK", number, epoch, time, granted, aim, tight, turn in ns or -1, reserve, all granted, hosts, hosts that wait,
--       for how long what others hold is still unknown, us, the smallest size that holds}, or
--       {"EPOCH" | "LATE" | "OLD", number, epoch, time}. Times are the store's, in us.
local SILENCE, TIGHT, TURN, HINT, HINT_BUSY = 4000000, 1000000, 100000, 50000, 1000000
local SERVED, EXPIRED, ASKED = 16, 16, 4
local SHARE_MAX, SINCE = 2 ^ 20 - 1, 2 ^ 33

local BOOK, ENTRIES, EXPIRY, WAITING, RICH, SPARE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local me, number, epoch, not_after = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local claim, held, want = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local weight, size = tonumber(ARGV[8]), tonumber(ARGV[9])
local yields, adrift = ARGV[10] == "1", ARGV[11] == "1"
local life, channel = tonumber(ARGV[12]) + tonumber(ARGV[13]), ARGV[14]

local function whole(n) return string.format("%.0f", n) end

-- ---- the book

local function now_us()
  local time = redis.call("TIME")
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function run_id() return string.match(redis.call("INFO", "server"), "run_id:(%w+)") end

-- What has another type than ours is not ours, and as good as nothing.
local function read(command, key)
  local found = redis.pcall(command, key)
  local failed = type(found) == "table" and found.err
  return failed and not string.find(failed, "WRONGTYPE", 1, true) and redis.call(command, key) or found
end

local book = {}
do
  local fields = read("HGETALL", BOOK)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    book[name] = (name == "run" or name == "epoch") and value or tonumber(value)
  end
end
local run = run_id()
local before = book.now or 0
local now = math.max(now_us(), before)

-- An entry is "granted number want held weight raised hinted".
local function entry_of(host)
  local text = redis.call("HGET", ENTRIES, host)
  if not text then return nil end
  local n = {}
  for word in string.gmatch(text, "%S+") do n[#n + 1] = tonumber(word) end
  return {granted = n[1], number = n[2], want = n[3], held = n[4], weight = n[5], raised = n[6], hinted = n[7]}
end

local function keep(host, e)
  redis.call("HSET", ENTRIES, host, table.concat({whole(e.granted), whole(e.number), whole(e.want), whole(e.held),
    whole(e.weight), whole(e.raised), whole(e.hinted)}, " "))
end

local function free()
  if book.unknown_until ~= 0 then return book.minted end
  return math.max(0, book.cap - book.booked)
end

-- What is given back may be given out again, also while the store is learning.
local function write_down(e, granted)
  book.booked = book.booked + granted - e.granted
  if book.unknown_until ~= 0 then book.minted = math.max(0, book.minted + e.granted - granted) end
  e.granted = granted
end

local function poverty(e, since)
  return whole(math.min(math.floor(e.granted * 16 / e.weight), SHARE_MAX) * SINCE + since)
end

local function sort(host, e)
  if e.granted > 0 then redis.call("ZADD", RICH, whole(-e.granted), host) else redis.call("ZREM", RICH, host) end
  if e.granted > e.held then redis.call("ZADD", SPARE, whole(e.held - e.granted), host)
  else redis.call("ZREM", SPARE, host) end
  local score = redis.call("ZSCORE", WAITING, host)
  if score then redis.call("ZADD", WAITING, poverty(e, tonumber(score) % SINCE), host) end
end

local function begin_epoch()
  redis.call("DEL", BOOK, ENTRIES, EXPIRY, WAITING, RICH, SPARE)
  book = {run = run, epoch = run .. "." .. whole(now), now = now, booked = 0, minted = 0, cap = size,
    cap_until = 0, unknown_until = now + life, tight_until = 0, alive = 0}
end

local function expire()
  if book.unknown_until ~= 0 and now >= book.unknown_until then book.unknown_until, book.minted = 0, 0 end
  for _, host in ipairs(redis.call("ZRANGEBYSCORE", EXPIRY, "-inf", whole(now), "LIMIT", 0, EXPIRED)) do
    write_down(entry_of(host), 0)
    redis.call("HDEL", ENTRIES, host)
    for _, set in ipairs({EXPIRY, WAITING, RICH, SPARE}) do redis.call("ZREM", set, host) end
    book.alive = book.alive - 1
  end
end

-- ---- the step

local function enter(e)
  local kept = e and math.min(want, e.granted)
  if not e then
    e = {granted = claim, raised = now, hinted = 0}
    book.booked = book.booked + claim
    book.alive = book.alive + 1
  elseif yields or claim > kept then write_down(e, claim)
  else write_down(e, kept) end
  if yields then redis.call("ZREM", WAITING, me) end
  e.number, e.want, e.held, e.weight = number, want, held, weight
  redis.call("ZADD", EXPIRY, whole(now + life), me)
  if want <= e.granted then redis.call("ZREM", WAITING, me)
  elseif not redis.call("ZSCORE", WAITING, me) then
    redis.call("ZADD", WAITING, poverty(e, math.floor(now / 1000) % SINCE), me)
  end
  sort(me, e)
  return e
end

local function poorest() return redis.call("ZRANGE", WAITING, 0, 0)[1] end

-- What is free goes to the poorest waiters: to me as my answer, to others with a hint.
local function serve(mine)
  for _ = 1, SERVED do
    local host = poorest()
    if not host or free() <= 0 then return end
    local e = host == me and mine or entry_of(host)
    local step = math.min(math.floor(free() / redis.call("ZCARD", WAITING)), e.want - e.granted)
    write_down(e, e.granted + math.max(1, step))
    e.raised = now
    sort(host, e)
    if e.granted >= e.want then redis.call("ZREM", WAITING, host) end
    if host ~= me then
      keep(host, e)
      redis.call("PUBLISH", channel .. host, "")
    end
  end
end

local function recall_from(set, above, gap)
  for _, host in ipairs(redis.call("ZRANGE", set, 0, ASKED - 1)) do
    if host ~= me and host ~= poorest() then
      local e = entry_of(host)
      if e.granted > above and now - e.hinted > gap then
        e.hinted = now
        keep(host, e)
        redis.call("PUBLISH", channel .. host, "")
        return true
      end
    end
  end
  return false
end

local function aim(mine)
  local to, turn, host = mine.granted, -1, poorest()
  if host and host ~= me then
    local e = entry_of(host)
    local target = math.ceil((mine.granted + e.granted) * mine.weight / (mine.weight + e.weight))
    if target < mine.granted then to = target
    elseif mine.granted * e.weight > e.granted * mine.weight then
      turn = math.max(0, mine.raised + TURN - now) * 1000
    end
  end
  return math.min(to, math.max(0, mine.granted - math.max(0, book.booked - book.cap))), turn
end

local function save()
  book.now = now
  for name, value in pairs(book) do
    redis.call("HSET", BOOK, name, type(value) == "number" and whole(value) or value)
  end
  for i = 1, 6 do redis.call("PEXPIRE", KEYS[i], whole(math.ceil(life / 1000) + 1000)) end
end

local silence = now - before > SILENCE and ((book.alive or 0) > 0 or adrift)
local fits = book.epoch and book.alive == read("HLEN", ENTRIES) and book.alive == read("ZCARD", EXPIRY)
for _, set in ipairs({WAITING, RICH, SPARE}) do fits = fits and type(read("ZCARD", set)) == "number" end
if not fits or book.run ~= run or silence then begin_epoch() end

local function answer(word)
  save()
  return {word, whole(number), book.epoch, whole(now)}
end

if epoch ~= book.epoch then return answer("EPOCH") end
if now > not_after then return answer("LATE") end
expire()
local mine = entry_of(me)
if mine and number <= mine.number then return answer("OLD") end
if size <= book.cap or now >= book.cap_until then book.cap, book.cap_until = size, now + life end
mine = enter(mine)
keep(me, mine)
serve(mine)
keep(me, mine)
local to, turn = aim(mine)
if poorest() then
  book.tight_until = now + TIGHT
  if free() == 0 then
    local least = entry_of(poorest()).granted
    if not recall_from(SPARE, 0, HINT) then recall_from(RICH, least, HINT_BUSY) end
  end
end
local tight = now < book.tight_until
local reserve = tight and math.floor(free() / book.alive) or 1
save()
local learning = book.unknown_until ~= 0 and book.unknown_until - now or 0
return {"OK", whole(number), book.epoch, whole(now), mine.granted, to, tight and 1 or 0, whole(turn), reserve,
  book.booked, book.alive, redis.call("ZCARD", WAITING), whole(learning), book.cap}
