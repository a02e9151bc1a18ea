-- When a fleet lets a host start: slots of a pool's rate, and its pause (core/turn.h has the words; tests/sim/turns.h is the
-- same step in C, and the two are held against each other). It runs at one instant, and looks at O(log hosts) entries.
--
-- KEYS  1 turn: a hash   2 turns: a sorted set of the hosts that want slots, by when that is forgotten
-- ARGV  1 host  2 period of the rate, us; 0: it has none  3 burst  4 slots wanted  5 how long the longest wait may be, us
--       6 slots given back  7 the store's time when they were lent, us  8 starts without a slot  9 adrift: they were by the
--       fallback  10 the API asks for a pause of so long, us; 0: it does not  11 the first call after a pause: 0 nothing,
--       1 it is wanted, 2 it was answered well, 3 it is over  12 of which round  13 the longest deadline, us
--       14 lease and margin, us  15 channel of what all are to hear
-- Gives {time, slots lent, when the first one is due, when the next one is that is not lent, how far a host's slots are
--       apart, for how long a rate is divided, round of the pause, what is left of it, state after it: 0 wait, 1 you are
--       the first, 2 all may go}, in us from now on; what is due may be negative.
local LEARN, SILENCE, QUIET, DOUBT = 2500000, 4000000, 1000000, 1500000
local AHEAD, WANTS, KEPT, EXPIRED, FAR = 50000, 1000000, 500000, 16, 2 ^ 52

local TURN, TURNS = KEYS[1], KEYS[2]
local me, period, burst, wanted, patience = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local back, taken, spent, adrift = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9] == "1"
local pause, word, round, deadline = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local life, channel = tonumber(ARGV[14]), ARGV[15]

local function whole(n) return string.format("%.0f", n) end

local function now_us()
  local time = redis.call("TIME")
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function run_id() return string.match(redis.call("INFO", "server"), "run_id:(%w+)") end

local turn = {run = "", stepped = 0, quiet = 0, tat = 0, period = 0, period_until = 0, burst = 0, burst_until = 0, learn_until = 0,
  low = FAR, low_before = FAR, low_since = 0, round = 0, pause_until = 0, prober = "", probe_until = 0, returned = 0}
do
  -- What has another type is not ours; whatever else it was fails again.
  local function look(command, key)
    local found = redis.pcall(command, key)
    if type(found) == "table" and found.err then
      if string.find(found.err, "WRONGTYPE", 1, true) then redis.call("DEL", key) end
      found = redis.call(command, key)
    end
    return found
  end
  local fields = look("HGETALL", TURN)
  look("ZCARD", TURNS)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    turn[name] = (name == "run" or name == "prober") and value or tonumber(value)
  end
end
local now, run = now_us(), run_id()

-- ---- the rate

local function slack() return (turn.burst - 1) * turn.period end

-- Rates differ while a new one is rolled out: the slowest of those that ask holds, and the least burst.
local function note_rate()
  if period >= turn.period or now >= turn.period_until then turn.period, turn.period_until = period, now + life end
  if burst <= turn.burst or now >= turn.burst_until then turn.burst, turn.burst_until = burst, now + life end
end

-- Until hosts have heard that the store is there, each has its part by itself; then the bucket is empty.
local function learn()
  turn.learn_until = now + LEARN
  turn.tat = turn.learn_until + slack()
end

-- Was the store away for its hosts? It can't tell, if nobody asked for so long.
local function charge()
  local silence = math.abs(now - turn.stepped)
  if silence > QUIET then turn.quiet = now end
  if turn.run ~= run or silence > SILENCE then
    turn.low, turn.low_before = 0, 0
    learn()
  elseif now < turn.learn_until then return
  elseif adrift and now - turn.quiet < DOUBT then learn()
  else
    if adrift then turn.tat = math.max(turn.tat, now + slack()) end
    if spent > 0 then turn.tat = math.max(turn.tat, now) + spent * turn.period end
    turn.tat = math.min(turn.tat, now + slack() + turn.period + deadline)
  end
end

-- What is given back is as if it had never been lent, as long as the bucket would not have been full since.
local function take_back()
  if back == 0 or now < turn.learn_until or now < taken or now - taken > KEPT then return end
  local by = math.min(back * turn.period, turn.low, turn.low_before, math.max(0, turn.tat - now))
  turn.tat, turn.low, turn.low_before = turn.tat - by, turn.low - by, turn.low_before - by
end

local function note_low(ahead)
  if now < turn.low_since or now - turn.low_since > KEPT then turn.low_before, turn.low, turn.low_since = turn.low, FAR, now end
  turn.low = math.min(turn.low, ahead)
end

-- A host of many that want some gets few at a time; from a bucket that is not empty, what it wants.
local function lend()
  for _, host in ipairs(redis.call("ZRANGEBYSCORE", TURNS, "-inf", whole(now), "LIMIT", 0, EXPIRED)) do
    redis.call("ZREM", TURNS, host)
  end
  if wanted == 0 or now < turn.learn_until then return 0, 0 end
  local tat = math.max(turn.tat, now)
  local due = tat - slack() - now
  redis.call("ZADD", TURNS, whole(now + WANTS + math.max(0, due)), me)
  local free = due <= 0 and math.floor(-due / turn.period) + 1 or 0
  local few = math.max(1, math.floor(AHEAD / (turn.period * redis.call("ZCARD", TURNS))))
  if due > patience then return 0, due end
  local count = math.min(wanted, math.max(free, few), math.floor((patience - due) / turn.period) + 1)
  note_low(tat - now)
  turn.tat = tat + count * turn.period
  return count, due
end

-- ---- the pause

local function tell_all() redis.call("PUBLISH", channel, "") end

local function note_pause()
  if pause == 0 then return end
  local to = now + pause
  if now >= turn.pause_until then
    turn.round, turn.prober, turn.probe_until, turn.returned = turn.round + 1, "", 0, 0
    tell_all()
  elseif to > turn.pause_until + 10000 then tell_all() end
  turn.pause_until = math.max(turn.pause_until, to)
end

local function state()
  if turn.returned == 1 or turn.round == 0 then return 2 end
  return now >= turn.pause_until and turn.prober == me and 1 or 0
end

-- One host has the first call; what it does not say for the longest deadline, it has not done.
local function note_first()
  local mine = turn.prober == me
  if word == 0 or turn.returned == 1 or now < turn.pause_until then return end
  if word == 1 and (mine or turn.prober == "" or now >= turn.probe_until) then
    turn.prober, turn.probe_until = me, now + deadline + 1000000
  elseif round ~= turn.round or not mine then return
  elseif word == 2 then
    turn.returned = 1
    tell_all()
  elseif word == 3 then
    turn.prober = ""
    tell_all()
  end
end

-- ---- the step

local count, due, beyond, pace, share = 0, 0, 0, 0, 0
if period > 0 then
  note_rate()
  charge()
  take_back()
  count, due = lend()
  beyond = math.max(0, turn.tat - slack() - now)
  pace = turn.period * math.max(1, redis.call("ZCARD", TURNS))
  share = math.max(0, turn.learn_until - now)
end
note_pause()
note_first()
turn.run, turn.stepped = run, now
for name, value in pairs(turn) do
  redis.call("HSET", TURN, name, type(value) == "number" and whole(value) or value)
end
local ends = math.max(life, turn.tat - now, turn.pause_until - now)
redis.call("PEXPIRE", TURN, whole(math.ceil(ends / 1000) + 1000))
redis.call("PEXPIRE", TURNS, whole(math.ceil(life / 1000) + 1000))
return {whole(now), count, whole(due), whole(beyond), whole(pace), whole(share), whole(turn.round),
  whole(math.max(0, turn.pause_until - now)), state()}
