-- What may be done in the store: each command of the fleet's scripts, on keys and a channel that nobody else has.
--
-- KEYS  1 a hash   2 a sorted set, of one hash tag     ARGV  1 a channel
-- Gives a list: of each command that was refused its name and the error. Leaves nothing behind. A store that is short of
-- memory lets a script go on that has written already, so HSET is the first that does.
local HASH, SET, CHANNEL = KEYS[1], KEYS[2], ARGV[1]
local refused = {}

local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == "table" and answer.err then
    refused[#refused + 1] = (...)
    refused[#refused + 1] = answer.err
  end
end

try("TIME")
try("INFO", "server")
try("HSET", HASH, "field", "1")
try("HGET", HASH, "field")
try("HGETALL", HASH)
try("HLEN", HASH)
try("HDEL", HASH, "field")
try("ZADD", SET, "1", "member")
try("ZSCORE", SET, "member")
try("ZCARD", SET)
try("ZRANGE", SET, 0, 0)
try("ZRANGEBYSCORE", SET, "-inf", "1", "LIMIT", 0, 1)
try("ZREM", SET, "member")
try("PEXPIRE", SET, "1000")
try("PUBLISH", CHANNEL, "")
try("DEL", HASH, SET)
return refused
