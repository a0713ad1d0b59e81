// files_session.h for C++11 and later. Copy this file into your program.
//
//     FilesSessionOptions options;
//     options.base_url = "https://mysite.files.com";
//     options.username = "username";
//     options.password = "password";
//     try {
//         const FilesSession session = FilesSession::login(options);
//         std::cout << "logged in at " << files_session_base_url(session.get()) << '\n';
//         session.logout(); // the destructor doesn't log out
//     } catch (const FilesSessionError &error) {
//         std::cerr << error.what() << '\n';
//     }
//
// get() returns the C object, for the getters of files_session.h.
#pragma once
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "files_session.h"

// A string, or none. A string with a NUL throws std::invalid_argument: C would truncate it.
class FilesSessionText {
public:
    FilesSessionText() = default;
    FilesSessionText(const char *text) : present_(text), text_(text ? text : "") {}
    FilesSessionText(std::string text) : present_(true), text_(std::move(text)) {
        if (text_.find('\0') != text_.npos) throw std::invalid_argument("a string contains a NUL");
    }
    const char *c_str() const noexcept { return present_ ? text_.c_str() : nullptr; }

private:
    bool present_ = false;
    std::string text_;
};

// Ends calls from another thread. Keep it for as long as calls are started with it.
class FilesSessionCanceller {
public:
    FilesSessionCanceller()
        : canceller_(files_session_canceller_new(), files_session_canceller_free) {}
    void cancel() const noexcept { files_session_cancel(get()); }
    files_session_canceller *get() const noexcept { return canceller_.get(); }

private:
    std::unique_ptr<files_session_canceller, void (*)(files_session_canceller *)> canceller_;
};

// The options of files_session.h. What is not set has its default.
struct FilesSessionOptions {
    FilesSessionText base_url, username, password, otp, partial_session_id;
    FilesSessionText language, user_agent, ca_pem, proxy;
    files_session_canceller *canceller = nullptr; // FilesSessionCanceller::get()
    std::uint32_t timeout_ms = 0, connect_timeout_ms = 0;
    std::int32_t retries = 0;
    bool allow_http = false;

    // Valid until these options change.
    files_session_options get() const noexcept {
        files_session_options options = FILES_SESSION_OPTIONS_INIT;
        options.base_url = base_url.c_str();
        options.username = username.c_str();
        options.password = password.c_str();
        options.otp = otp.c_str();
        options.partial_session_id = partial_session_id.c_str();
        options.language = language.c_str();
        options.user_agent = user_agent.c_str();
        options.ca_pem = ca_pem.c_str();
        options.proxy = proxy.c_str();
        options.canceller = canceller;
        options.timeout_ms = timeout_ms;
        options.connect_timeout_ms = connect_timeout_ms;
        options.retries = retries;
        options.allow_http = allow_http;
        return options;
    }
};

// Why a call failed. what() is the message. Copies share one C error.
class FilesSessionError : public std::runtime_error {
public:
    explicit FilesSessionError(std::shared_ptr<const files_session_error> error)
        : std::runtime_error(files_session_error_message(error.get())), error_(std::move(error)) {}
    files_session_status status() const noexcept { return files_session_error_status(get()); }
    const files_session_error *get() const noexcept { return error_.get(); }

private:
    std::shared_ptr<const files_session_error> error_;
};

// A session. It can be moved, but not copied. The destructor frees it, and doesn't log out.
class FilesSession {
public:
    static FilesSession login(const FilesSessionOptions &options) {
        return FilesSession(files_session_login, options);
    }

    // Answers a login that needs a second factor. This asks until a code is right:
    //
    //     try {
    //         return FilesSession::login(options);
    //     } catch (FilesSessionError &challenge) {
    //         while (challenge.status() == FILES_SESSION_TWO_FACTOR_REQUIRED ||
    //                challenge.status() == FILES_SESSION_OTP_INCORRECT) {
    //             try {
    //                 return FilesSession::answer(options, challenge, ask());
    //             } catch (const FilesSessionError &error) {
    //                 challenge = error;
    //             }
    //         }
    //         throw;
    //     }
    static FilesSession answer(const FilesSessionOptions &options,
                               const FilesSessionError &challenge, const FilesSessionText &code) {
        return FilesSession(files_session_answer, options, challenge.get(), code.c_str());
    }

    static FilesSession resume(const FilesSessionOptions &options, const FilesSessionText &id) {
        return FilesSession(files_session_resume, options, id.c_str());
    }

    void logout() const {
        files_session_error *error = nullptr;
        files_session_logout(get(), &error);
        check(error);
    }

    // nullptr after a move.
    const files_session *get() const noexcept { return session_.get(); }

private:
    // The three calls that make a session differ only in the arguments in the middle.
    template <typename Call, typename... Arguments>
    FilesSession(Call call, const FilesSessionOptions &options, Arguments... arguments)
        : session_(nullptr, files_session_free) {
        const files_session_options c_options = options.get();
        files_session *session = nullptr;
        files_session_error *error = nullptr;
        call(&c_options, arguments..., &session, &error);
        session_.reset(session);
        check(error);
    }

    static void check(files_session_error *error) {
        if (!error) return;
        throw FilesSessionError(
            std::shared_ptr<files_session_error>(error, files_session_error_free));
    }

    std::unique_ptr<files_session, void (*)(files_session *)> session_;
};
