"""Tests files_session.py: session.py LIBRARY BASE_URL"""

import sys
from ctypes import CDLL

from files_session import Session

library, url = CDLL(sys.argv[1]), sys.argv[2]


def refused(exception, says, **options):
    try:
        Session(library, **{"base_url": url, "username": "username", "password": "password", **options})
    except exception as error:
        assert says in str(error), error
    else:
        raise AssertionError(f"{options} was let in")


with Session(library, base_url=url, username="username", password="password") as session:
    assert session.text("id") == "60525f92e859c4c3d74cb02fd176b1525901b525"
    assert session.text("language") == "en"
    assert session.text("base_url") == url
assert not session.session
try:
    with Session(library, base_url=url, username="few-attributes", password="password") as session:
        assert session.text("language") is None and session.text("root_path") == "a\u2400b"
except RuntimeError as error:  # the stand-in knows no such session
    assert "log in again" in str(error), error
else:
    raise AssertionError("the error of the logout is lost")

refused(RuntimeError, "check the user name and the password", username="nobody \N{SNOWMAN}")
refused(RuntimeError, "allow_http is neither 0 nor 1", allow_http=2)
refused(ValueError, "NUL", password="password\0x")
refused(ValueError, "NUL", username=b"username\0x")
print("ok")
