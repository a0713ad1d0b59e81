-- Logs in and out with LuaJIT. The argument is a file with the header's declarations.
local ffi = require("ffi")
ffi.cdef(assert(io.open(arg[1])):read("*a"))
local library = ffi.load(os.getenv("FILES_SESSION_LIBRARY") or "files_session")

-- C's pointers don't keep these strings alive, so the variables must.
local url, username, password =
    os.getenv("FILES_BASE_URL"), os.getenv("FILES_USERNAME"), os.getenv("FILES_PASSWORD")
local options = ffi.new("files_session_options")
options.size = ffi.sizeof(options)
options.base_url, options.username, options.password = url, username, password

local session, err = ffi.new("files_session *[1]"), ffi.new("files_session_error *[1]")
if library.files_session_login(options, session, err) ~= library.FILES_SESSION_OK then
    io.stderr:write(ffi.string(library.files_session_error_message(err[0])), "\n")
    library.files_session_error_free(err[0])
    os.exit(1)
end
print("logged in at " .. ffi.string(library.files_session_base_url(session[0])))
library.files_session_logout(session[0], nil)
library.files_session_free(session[0])
