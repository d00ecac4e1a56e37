-- Sets the request headers given in WRK_HEADERS, one NAME=VALUE a line.
for name, value in (os.getenv("WRK_HEADERS") or ""):gmatch("([^=\n]+)=([^\n]*)") do
  wrk.headers[name] = value
end
-- With a body in WRK_BODY it is posted as JSON.
local body = os.getenv("WRK_BODY")
if body then
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = body
end
