"""files_session.h for Python 3.8 and later. Copy this file into your program.

    library = Library("libfiles_session.so")
    with library.login(base_url="https://mysite.files.com", username="username",
                       password="password") as session:
        print("logged in at", session.base_url)
    # The end of the block has logged out.

Keyword arguments are the options of files_session.h. A call that fails raises SessionError. This
answers a login that needs a second factor, and asks until a code is right:

    challenge = None
    while True:
        try:
            session = challenge.answer(ask()) if challenge else library.login(**options)
            break
        except SessionError as error:
            if error.status not in (TWO_FACTOR_REQUIRED, OTP_INCORRECT):
                raise
            challenge = error

ctypes releases the interpreter's lock during a call, so other threads run. Python handles Ctrl-C
after the call.
"""

from ctypes import (CDLL, POINTER, Structure, byref, c_char_p, c_int, c_int32, c_int64, c_size_t,
                    c_uint32, c_void_p, sizeof)

OK, INVALID_INPUT, CONNECT, TLS, TIMEOUT, TRANSPORT, UNEXPECTED_RESPONSE, CANCELLED = range(8)
(BAD_REQUEST, NOT_AUTHENTICATED, NOT_AUTHORIZED, NOT_FOUND, PROCESSING_FAILURE, RATE_LIMITED,
 SERVICE_UNAVAILABLE, SITE_CONFIGURATION) = range(10, 18)
(TWO_FACTOR_REQUIRED, INVALID_CREDENTIALS, OTP_INCORRECT, LOCKED_OUT, REGION_MISMATCH,
 INVALID_SESSION) = range(20, 26)
PANIC = 99

# The header that authenticates other API requests. Its value is the session's id.
AUTH_HEADER = "X-FilesAPI-Auth"

OPTION_TEXTS = """base_url username password otp partial_session_id language user_agent ca_pem
    proxy""".split()
TEXTS = """id base_url language login_token login_token_domain root_path timeout_at
    home_path""".split()
FLAGS = """multiple_regions read_only sftp_insecure_ciphers ssl_required tls_disabled
    two_factor_setup_needed allowed_2fa_method_sms allowed_2fa_method_totp allowed_2fa_method_u2f
    allowed_2fa_method_yubi allowed_2fa_method_webauthn use_provided_modified_at
    windows_mode_ftp""".split()
NUMBERS = ["max_dir_listing_size", "site_id"]
ERROR_TEXTS = """message location type title site_message request_id partial_session_id host
    data""".split()
ERROR_FLAGS = ["outcome_unknown", "is_transient"]


class _Options(Structure):
    __slots__ = ()  # so that an unknown option is an AttributeError
    _fields_ = [("size", c_size_t), *((name, c_char_p) for name in OPTION_TEXTS),
                ("canceller", c_void_p), ("timeout_ms", c_uint32), ("connect_timeout_ms", c_uint32),
                ("retries", c_int32), ("allow_http", c_uint32)]

    def __init__(self, options):
        super().__init__(sizeof(_Options))
        for name, value in options.items():
            value = getattr(value, "_as_parameter_", _bytes(value))
            setattr(self, name, value)
            if getattr(self, name) != value:  # ctypes keeps the lower bits of a number
                raise ValueError(f"{name} is out of range")


def _bytes(value):
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes) and b"\0" in value:
        raise ValueError("a string contains a NUL")  # C would truncate it
    return value


class _Pointer:
    """A pointer from the library. It is freed with the last reference to it."""

    def __init__(self, pointer, free):
        self._as_parameter_, self._free = pointer, free  # ctypes passes _as_parameter_ to C

    def __del__(self):
        self._free(self._as_parameter_)


class Canceller(_Pointer):
    """The option `canceller`. It ends calls from another thread."""

    def __init__(self, library):
        super().__init__(library._get("canceller_new"), library._function("canceller_free"))
        self._cancel = library._function("cancel")

    def cancel(self):
        self._cancel(self)


class SessionError(Exception):
    """Why a call failed: str() is the message. A fact that is absent is None.

    It keeps the options of the call, with the password, for answer().
    """

    def __init__(self, library, pointer, options):
        self._library, self._options = library, options
        self._error = _Pointer(pointer, library._function("error_free"))
        for name in ERROR_TEXTS:
            setattr(self, name, library._text("error_" + name, self._error))
        for name in ERROR_FLAGS:
            setattr(self, name, library._get("error_" + name, self._error) == 1)
        self.status = library._get("error_status", self._error)
        self.http_status = library._get("error_http_status", self._error) or None
        retry_after = library._get("error_retry_after", self._error)
        self.retry_after = None if retry_after < 0 else retry_after
        self.methods = []
        while (method := library._text("error_method", self._error, len(self.methods))) is not None:
            self.methods.append(method)
        super().__init__(self.message)

    def answer(self, code):
        """Sends the login again, with the code of a second factor."""
        return self._library._new_session("answer", self._options, self._error, _bytes(code))


class Session:
    """A session. Its attributes are those of the header; an absent one is None."""

    def __init__(self, library, pointer):
        self._library, self._session = library, _Pointer(pointer, library._function("free"))
        for name in TEXTS:
            setattr(self, name, library._text(name, self._session))
        for name in FLAGS:
            setattr(self, name, {0: False, 1: True}.get(library._get(name, self._session)))
        for name in NUMBERS:
            number = c_int64()
            present = library._get(name, self._session, byref(number))
            setattr(self, name, number.value if present else None)

    def logout(self):
        error = c_void_p()
        if self._library._get("logout", self._session, byref(error)):
            raise SessionError(self._library, error.value, {})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.logout()


class Library:
    """The shared library, by its path or its name."""

    def __init__(self, path):
        self._library = CDLL(path)
        pointer, out = c_void_p, POINTER(c_void_p)
        for names, restype, *argtypes in (
                (["login"], c_int32, POINTER(_Options), out, out),
                (["answer"], c_int32, POINTER(_Options), pointer, c_char_p, out, out),
                (["resume"], c_int32, POINTER(_Options), c_char_p, out, out),
                (["logout"], c_int32, pointer, out),
                (["canceller_new"], pointer),
                (["free", "error_free", "canceller_free", "cancel"], None, pointer),
                (TEXTS, c_char_p, pointer),
                (FLAGS, c_int, pointer),
                (NUMBERS, c_int, pointer, POINTER(c_int64)),
                (["error_" + name for name in ERROR_TEXTS], c_char_p, pointer),
                (["error_" + name for name in ERROR_FLAGS], c_int, pointer),
                (["error_status"], c_int32, pointer),
                (["error_http_status"], c_int, pointer),
                (["error_retry_after"], c_int64, pointer),
                (["error_method"], c_char_p, pointer, c_size_t)):
            for name in names:
                self._function(name).restype, self._function(name).argtypes = restype, argtypes

    def login(self, **options):
        return self._new_session("login", options)

    def resume(self, id, **options):
        return self._new_session("resume", options, _bytes(id))

    def _new_session(self, call, options, *arguments):
        session, error = c_void_p(), c_void_p()
        c_options = _Options(options)
        if self._get(call, byref(c_options), *arguments, byref(session), byref(error)):
            raise SessionError(self, error.value, options)
        return Session(self, session.value)

    def _function(self, name):
        return getattr(self._library, "files_session_" + name)

    def _get(self, name, *arguments):
        return self._function(name)(*arguments)

    def _text(self, name, *arguments):
        text = self._get(name, *arguments)
        return None if text is None else text.decode()
