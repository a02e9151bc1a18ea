-- Asks a forward proxy for BENCH_TARGET.
wrk.headers["Host"] = os.getenv("BENCH_TARGET"):match("//([^/]+)")
local line = wrk.format("GET", os.getenv("BENCH_TARGET"))

function request()
   return line
end
