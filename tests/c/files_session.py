"""files_session.h for Python. Copy it into your program, and add the getters that you need.

    with Session(CDLL("libfiles_session.so"), base_url="https://mysite.files.com",
                 username="username", password="password") as session:
        print(session.text("base_url"))
"""

from ctypes import Structure, byref, c_char_p, c_int32, c_size_t, c_uint32, c_void_p, sizeof

TEXTS = "base_url username password otp partial_session_id language user_agent ca_pem proxy".split()


class Options(Structure):
    _fields_ = [("size", c_size_t), *((name, c_char_p) for name in TEXTS), ("canceller", c_void_p),
                ("timeout_ms", c_uint32), ("connect_timeout_ms", c_uint32), ("retries", c_int32),
                ("allow_http", c_uint32)]


class SessionError(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Session:
    def __init__(self, library, **options):
        self.library, self.session, error = library, c_void_p(), c_void_p()
        options = {k: v.encode() if isinstance(v, str) else v for k, v in options.items()}
        if any(isinstance(v, bytes) and b"\0" in v for v in options.values()):
            raise ValueError("a string contains a NUL")
        options = Options(sizeof(Options), **options)
        status = library.files_session_login(byref(options), byref(self.session), byref(error))
        self._check(status, error)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        error = c_void_p()
        status = self.library.files_session_logout(self.session, byref(error))
        self.library.files_session_free(self.session)
        self.session = c_void_p()
        self._check(status, error)

    def text(self, attribute, prefix="files_session_", of=None):
        getter = self.library[prefix + attribute]
        getter.argtypes, getter.restype = [c_void_p], c_char_p
        text = getter(of or self.session)
        return text if text is None else text.decode()

    def _check(self, status, error):
        if error:
            message = self.text("message", "files_session_error_", error)
            self.library.files_session_error_free(error)
            raise SessionError(status, message)
