"""The shared library from Python's ctypes: session.py LIBRARY BASE_URL"""

import ctypes
import sys
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_void_p


class Options(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("base_url", c_char_p),
        ("username", c_char_p),
        ("password", c_char_p),
        ("otp", c_char_p),
        ("partial_session_id", c_char_p),
        ("language", c_char_p),
        ("ca_pem", c_char_p),
        ("timeout_ms", c_uint32),
        ("retries", c_int32),
        ("allow_http", c_bool),
    ]


lib = ctypes.CDLL(sys.argv[1])
lib.files_session_login.argtypes = [POINTER(Options), POINTER(c_void_p), POINTER(c_void_p)]
lib.files_session_logout.argtypes = [c_void_p, POINTER(c_void_p)]
lib.files_session_free.argtypes = [c_void_p]
lib.files_session_error_free.argtypes = [c_void_p]
for name in ["id", "language", "error_message", "error_type"]:
    function = getattr(lib, "files_session_" + name)
    function.argtypes, function.restype = [c_void_p], c_char_p
lib.files_session_read_only.argtypes, lib.files_session_read_only.restype = [c_void_p], c_int


def login(username):
    options = Options(
        size=ctypes.sizeof(Options),
        base_url=sys.argv[2].encode(),
        username=username,
        password=b"password",
        retries=-1,
    )
    session, error = c_void_p(), c_void_p()
    status = lib.files_session_login(byref(options), byref(session), byref(error))
    return status, session, error


status, session, error = login(b"username")
assert status == 0 and session and not error
assert lib.files_session_id(session) == b"60525f92e859c4c3d74cb02fd176b1525901b525"
assert lib.files_session_language(session) == b"en"
assert lib.files_session_read_only(session) == 1
assert lib.files_session_logout(session, None) == 0
lib.files_session_free(session)

status, session, error = login("nobody \N{SNOWMAN}".encode())
assert status == 21 and not session
assert b"check the user name and the password" in lib.files_session_error_message(error)
assert lib.files_session_error_type(error) == b"not-authenticated/invalid-username-or-password"
lib.files_session_error_free(error)
print("ok")
