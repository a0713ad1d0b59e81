"""Logs in and out with files_session.py."""

import os
import sys

from files_session import Library, SessionError

library = Library(os.environ.get("FILES_SESSION_LIBRARY", "libfiles_session.so"))
try:
    with library.login(base_url=os.environ["FILES_BASE_URL"],
                       username=os.environ["FILES_USERNAME"],
                       password=os.environ["FILES_PASSWORD"]) as session:
        print("logged in at", session.base_url)
except SessionError as error:
    sys.exit(str(error))
