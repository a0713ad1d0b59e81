// Logs in and out with Node and koffi.
const koffi = require("koffi");
const library = koffi.load(process.env.FILES_SESSION_LIBRARY ?? "libfiles_session.so");

koffi.opaque("files_session");
koffi.opaque("files_session_error");
koffi.struct("files_session_options", {
  size: "size_t", base_url: "str", username: "str", password: "str", otp: "str",
  partial_session_id: "str", language: "str", user_agent: "str", ca_pem: "str", proxy: "str",
  canceller: "void *", timeout_ms: "uint32_t", connect_timeout_ms: "uint32_t",
  retries: "int32_t", allow_http: "uint32_t",
});
const login = library.func("int files_session_login(const files_session_options *, " +
  "_Out_ files_session **, _Out_ files_session_error **)");
const logout = library.func("int files_session_logout(files_session *, void *)");
const free = library.func("void files_session_free(files_session *)");
const baseUrl = library.func("const char *files_session_base_url(files_session *)");
const message = library.func("const char *files_session_error_message(files_session_error *)");
const freeError = library.func("void files_session_error_free(files_session_error *)");

const session = [null];
const error = [null];
const options = { // all other members become zero
  size: koffi.sizeof("files_session_options"),
  base_url: process.env.FILES_BASE_URL,
  username: process.env.FILES_USERNAME,
  password: process.env.FILES_PASSWORD,
};
if (login(options, session, error) !== 0) {
  console.error(message(error[0]));
  freeError(error[0]);
  process.exit(1);
}
console.log(`logged in at ${baseUrl(session[0])}`);
logout(session[0], null);
free(session[0]);
