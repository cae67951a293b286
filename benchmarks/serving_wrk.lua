-- Sends whole HTTP requests from a file, one after another and again from the first, and ends with
-- one line of JSON. The file holds, for each request, its length in bytes on a line and the request.
-- A second argument is a mean pause in ms that a connection makes after each answer.
local requests, turn, pause = {}, 0, 0

function init(args)
   local file = assert(io.open(args[1], "rb"))
   for length in file:lines() do
      requests[#requests + 1] = file:read(tonumber(length))
   end
   file:close()
   pause = tonumber(args[2] or 0)
   if pause > 0 then
      delay = function() return math.floor(2 * pause * math.random() + math.random()) end
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "refused": %d, "broken": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
      latency:percentile(99) / 1e3, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout))
end
