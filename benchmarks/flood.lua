-- The small-file load for wrk: the same request again and again, on fresh names or over a list of targets.
-- Arguments: method, file of targets (one a line; {n} becomes a running number), file of the body or "-", then "Name: value" headers.
-- Prints one JSON line; an answer outside 2xx is counted as refused.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(arguments)
   local method, targets_file, body_file = arguments[1], arguments[2], arguments[3]
   local body = ""
   if body_file ~= "-" then
      local file = assert(io.open(body_file, "rb"))
      body = file:read("*a")
      file:close()
   end

   local headers = "Host: " .. wrk.host .. ":" .. wrk.port .. "\r\n"
   if body_file ~= "-" then headers = headers .. "Content-Length: " .. #body .. "\r\n" end
   for index = 4, #arguments do headers = headers .. arguments[index] .. "\r\n" end

   starts, ends = {}, {}
   for target in io.lines(targets_file) do
      local before, after = target:match("^(.-){n}(.*)$")
      table.insert(starts, method .. " " .. (before or target))
      table.insert(ends, (after or "") .. " HTTP/1.1\r\n" .. headers .. "\r\n" .. body)
      numbered = before ~= nil
   end
   sent, answered, refused = 0, 0, 0
end

function request()
   local index = sent % #starts + 1
   sent = sent + 1
   return starts[index] .. (numbered and sent or "") .. ends[index]
end

function response(status)
   answered = answered + 1
   if status < 200 or status > 299 then refused = refused + 1 end
end

function done(summary, latency)
   local refused = 0
   for _, thread in ipairs(threads) do refused = refused + thread:get("refused") end
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
      summary.requests, summary.duration / 1e6, refused,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
