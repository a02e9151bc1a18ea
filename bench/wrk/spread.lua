-- Each thread calls a server of its own: the ports come after "--", and are taken in turn.
local threads = 0
local addresses = {}

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
   local ports = os.getenv("BENCH_PORTS")
   if #addresses == 0 then
      for port in ports:gmatch("%d+") do
         addresses[#addresses + 1] = wrk.lookup("127.0.0.1", port)[1]
      end
   end
   thread.addr = addresses[threads % #addresses + 1]
end
