"""Tests files_session.py: session.py LIBRARY BASE_URL"""

import sys
from ctypes import CDLL

from files_session import Session, SessionError

library, url = CDLL(sys.argv[1]), sys.argv[2]
INVALID_INPUT, INVALID_CREDENTIALS, INVALID_SESSION = 1, 21, 25


def login(**options):
    user = {"username": "username", "password": "password"}
    return Session(library, base_url=url, **{**user, **options})


def fails(exception, message, work):
    try:
        work()
    except exception as error:
        assert message in str(error), error
        return error
    raise AssertionError(f"no {exception.__name__} with {message}")


with login(user_agent="session.py/1.0") as session:
    assert session.text("id") == "60525f92e859c4c3d74cb02fd176b1525901b525"
    assert session.text("language") == "en"
    assert session.text("base_url") == url
assert not session.session


def unknown_session():  # The server doesn't know it, so the logout fails.
    with login(username="few-attributes") as session:
        assert session.text("language") is None and session.text("root_path") == "a\u2400b"


assert fails(SessionError, "log in again", unknown_session).status == INVALID_SESSION

refused = fails(SessionError, "check the user name", lambda: login(username="nobody \N{SNOWMAN}"))
assert refused.status == INVALID_CREDENTIALS
invalid = fails(SessionError, "allow_http is neither 0 nor 1", lambda: login(allow_http=2))
assert invalid.status == INVALID_INPUT
fails(ValueError, "NUL", lambda: login(password="password\0x"))
fails(ValueError, "NUL", lambda: login(username=b"username\0x"))
print("ok")
