// files_session.h for C++17. Copy it into your program, and add what you need.
#pragma once
#include <memory>
#include <stdexcept>
#include <string>
#include "files_session.h"

// what() is the message.
class FilesSessionError : public std::runtime_error {
public:
    explicit FilesSessionError(const files_session_error *error)
        : std::runtime_error(files_session_error_message(error)),
          status(files_session_error_status(error)) {}
    files_session_status status;
};

class FilesSession {
public:
    FilesSession(const std::string &url, const std::string &user, const std::string &password) {
        files_session_options options = FILES_SESSION_OPTIONS_INIT;
        options.base_url = c_str(url);
        options.username = c_str(user);
        options.password = c_str(password);
        files_session *session = nullptr;
        files_session_error *error = nullptr;
        files_session_login(&options, &session, &error);
        session_.reset(session);
        check(error);
    }
    void logout() {
        files_session_error *error = nullptr;
        files_session_logout(session_.get(), &error);
        check(error);
    }
    // For the getters of files_session.h; nullptr after a move.
    const files_session *get() const { return session_.get(); }

private:
    struct Free {
        void operator()(files_session *session) const { files_session_free(session); }
        void operator()(files_session_error *error) const { files_session_error_free(error); }
    };
    static const char *c_str(const std::string &text) {
        if (text.find('\0') == text.npos) return text.c_str();
        throw std::invalid_argument("a string contains a NUL");
    }
    static void check(files_session_error *error) {
        const std::unique_ptr<files_session_error, Free> owner(error);
        if (error) throw FilesSessionError(error);
    }
    std::unique_ptr<files_session, Free> session_;
};
