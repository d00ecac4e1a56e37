-- Sets the request headers given in WRK_HEADERS, one NAME=VALUE a line.
for name, value in (os.getenv("WRK_HEADERS") or ""):gmatch("([^=\n]+)=([^\n]*)") do
  wrk.headers[name] = value
end
