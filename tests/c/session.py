"""Tests files_session.py: session.py LIBRARY BASE_URL"""

import socket
import sys
import threading

import files_session
from files_session import Canceller, Library, SessionError

library, url = Library(sys.argv[1]), sys.argv[2]


def login(**options):
    return library.login(**{"base_url": url, "username": "username", "password": "password",
                            "proxy": "", **options})


def failure_of(exception, work):
    try:
        work()
    except exception as error:
        return error
    raise AssertionError(f"no {exception.__name__}")


# Every attribute, and every option but ca_pem and canceller.
with login(otp="123456", partial_session_id=None, language="de", user_agent="session.py/1.0",
           timeout_ms=20000, connect_timeout_ms=10000, retries=-1, allow_http=True) as session:
    assert session.id == "60525f92e859c4c3d74cb02fd176b1525901b525"
    assert session.base_url == url and session.language == "en" and session.root_path == ""
    assert session.multiple_regions is True and session.read_only is False
    assert session.max_dir_listing_size == 1 and session.site_id == 2

session = login(username="few-attributes")
assert session.language is None and session.root_path == "a\u2400b"
assert session.multiple_regions is None and session.max_dir_listing_size is None
assert session.site_id == -2**63

library.resume(session.id, base_url=session.base_url, proxy="")  # sends nothing
with library.resume("60525f92e859c4c3d74cb02fd176b1525901b525", base_url=url, proxy=""):
    pass
error = failure_of(SessionError, session.logout)  # the server doesn't know it
assert error.status == files_session.INVALID_SESSION and "log in again" in str(error)
error = failure_of(SessionError, lambda: error.answer("123456"))
assert error.status == files_session.INVALID_INPUT and "challenge" in error.message

# The facts of errors, by which they are kept.
error = failure_of(SessionError, lambda: login(username="nobody \N{SNOWMAN}"))
assert error.status == files_session.INVALID_CREDENTIALS and error.http_status == 401
assert error.type == "not-authenticated/invalid-username-or-password"
assert error.title == "Invalid Username Or Password" and error.request_id == "5d4c3b2a"
assert error.site_message == "Invalid username or password"
assert "check the user name and the password" in str(error) == error.message
assert error.retry_after is None and error.location is None and error.methods == []
assert not error.outcome_unknown and not error.is_transient
error = failure_of(SessionError, lambda: login(username="too-often"))
assert error.retry_after == 3600 and error.outcome_unknown and error.is_transient
error = failure_of(SessionError, lambda: login(username="elsewhere"))
assert error.host == "eu.example.com" and error.data == '{"host":"eu.example.com"}'
error = failure_of(SessionError, lambda: login(username="redirect"))
assert error.location == "https://evil.example/"
error = failure_of(SessionError, lambda: login(ca_pem="no certificate"))
assert error.status == files_session.INVALID_INPUT and error.http_status is None

# A second factor, with a mistyped code first.
challenge = failure_of(SessionError, lambda: login(username="totp"))
assert challenge.status == files_session.TWO_FACTOR_REQUIRED
wrong = failure_of(SessionError, lambda: challenge.answer("654321"))
assert wrong.status == files_session.OTP_INCORRECT and wrong.methods == ["totp"]
assert wrong.partial_session_id == challenge.partial_session_id == "partial-9f8e7d6c5b4a"
wrong.answer("123456").logout()
challenge.answer("123456").logout()

# What Python must check, because C can't.
failure_of(ValueError, lambda: login(password="password\0x"))
failure_of(ValueError, lambda: login(username=b"username\0x"))
failure_of(ValueError, lambda: challenge.answer("123456\0x"))
failure_of(ValueError, lambda: login(timeout_ms=2**32))
failure_of(AttributeError, lambda: login(user_name="username"))

# Another thread cancels a call when it is connected to a server that never answers.
canceller = Canceller(library)
with socket.create_server(("127.0.0.1", 0)) as listener:
    def cancel():
        with listener.accept()[0] as connection:
            canceller.cancel()
            while connection.recv(1000):
                pass
    thread = threading.Thread(target=cancel)
    thread.start()
    silent = f"http://127.0.0.1:{listener.getsockname()[1]}"
    error = failure_of(SessionError, lambda: login(base_url=silent, canceller=canceller))
    thread.join()
assert error.status == files_session.CANCELLED
print("ok")
