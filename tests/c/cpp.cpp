// files_session.hpp, and so the header, from C++17: cpp BASE_URL

#include "files_session.hpp"

#include <cstring>
#include <iostream>

// What a login throws; "" if it throws nothing.
template <typename Thrown>
std::string thrown_by(const std::string &url, const std::string &user, const std::string &password)
{
    try {
        FilesSession session(url, user, password);
    } catch (const Thrown &thrown) {
        return thrown.what();
    }
    return "";
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

    const auto refused = thrown_by<std::runtime_error>(url, "username", "wrong");
    if (refused.find("check the user name and the password") == refused.npos) {
        return 4;
    }
    // Cut at the NUL, it would be the right password.
    if (thrown_by<std::invalid_argument>(url, "username", "password\0x"s).empty() ||
        thrown_by<std::invalid_argument>(url, "username\0x"s, "password").empty() ||
        thrown_by<std::invalid_argument>(url + "\0x"s, "username", "password").empty()) {
        return 5;
    }
    std::cout << "ok\n";
    return 0;
}
