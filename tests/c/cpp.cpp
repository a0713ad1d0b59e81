// The header from C++17, with its objects in smart pointers: cpp BASE_URL

#include "files_session.h"

#include <iostream>
#include <memory>

struct Free {
    void operator()(files_session *session) const { files_session_free(session); }
    void operator()(files_session_error *error) const { files_session_error_free(error); }
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        return 2;
    }
    files_session_options options = FILES_SESSION_OPTIONS_INIT;
    options.base_url = argv[1];
    options.username = "username";
    options.password = "password";

    files_session *out = nullptr;
    files_session_error *failed = nullptr;
    const files_session_status status = files_session_login(&options, &out, &failed);
    const std::unique_ptr<files_session, Free> session(out);
    const std::unique_ptr<files_session_error, Free> error(failed);
    if (status != FILES_SESSION_OK) {
        std::cerr << files_session_error_message(error.get()) << '\n';
        return 1;
    }
    switch (files_session_logout(session.get(), nullptr)) {
    case FILES_SESSION_OK:
        std::cout << "ok\n";
        return 0;
    default:
        return 1;
    }
}
