# Logs in and out with Fiddle.
require "fiddle/import"

module FilesSession
  extend Fiddle::Importer
  dlload ENV.fetch("FILES_SESSION_LIBRARY", "libfiles_session.so")
  extern "void files_session_options_init(void *, size_t)"
  extern "int files_session_login(void *, void *, void *)"
  extern "int files_session_logout(void *, void *)"
  extern "void files_session_free(void *)"
  extern "void files_session_error_free(void *)"
  extern "const char *files_session_error_message(void *)"
  extern "const char *files_session_base_url(void *)"
  Options = struct [
    "size_t size", "char *base_url", "char *username", "char *password", "char *otp",
    "char *partial_session_id", "char *language", "char *user_agent", "char *ca_pem",
    "char *proxy", "void *canceller", "uint32_t timeout_ms", "uint32_t connect_timeout_ms",
    "int32_t retries", "uint32_t allow_http"
  ]
end

# C's pointers don't keep these strings alive, so the variables must.
url, username, password = ENV.values_at("FILES_BASE_URL", "FILES_USERNAME", "FILES_PASSWORD")
options = FilesSession::Options.malloc(Fiddle::RUBY_FREE)
FilesSession.files_session_options_init(options, FilesSession::Options.size)
options.base_url = Fiddle::Pointer[url]
options.username = Fiddle::Pointer[username]
options.password = Fiddle::Pointer[password]

session = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)
error = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)
if FilesSession.files_session_login(options, session, error) != 0
  message = FilesSession.files_session_error_message(error.ptr).to_s
  FilesSession.files_session_error_free(error.ptr)
  abort message
end
puts "logged in at #{FilesSession.files_session_base_url(session.ptr)}"
FilesSession.files_session_logout(session.ptr, nil)
FilesSession.files_session_free(session.ptr)
