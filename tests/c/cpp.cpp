// Tests files_session.hpp, and so the header, in C++17: cpp BASE_URL

#include "files_session.hpp"

#include <cstring>
#include <iostream>

// Whether a login fails because of a string that contains a NUL.
static bool is_invalid(const std::string &url, const std::string &user, const std::string &password)
{
    try {
        FilesSession session(url, user, password);
    } catch (const std::invalid_argument &) {
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    using namespace std::string_literals;
    if (argc < 2) {
        return 2;
    }
    const std::string url = argv[1];
    FilesSession first(url, "username", "password");
    FilesSession session = std::move(first);
    if (first.get() || std::strcmp(files_session_root_path(session.get()), "") != 0) {
        return 3;
    }
    session.logout();

    try {
        FilesSession refused(url, "username", "wrong");
        return 4;
    } catch (const FilesSessionError &error) {
        if (error.status != FILES_SESSION_INVALID_CREDENTIALS ||
            !std::strstr(error.what(), "check the user name and the password")) {
            return 5;
        }
    }
    // Truncated at the NUL, it would be the right password.
    if (!is_invalid(url, "username", "password\0x"s) ||
        !is_invalid(url, "username\0x"s, "password") ||
        !is_invalid(url + "\0x"s, "username", "password")) {
        return 6;
    }
    std::cout << "ok\n";
    return 0;
}
