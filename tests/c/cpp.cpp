// Tests files_session.hpp, and so the header, in C++17: cpp BASE_URL

#include "files_session.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <thread>
#include <type_traits>
#include <vector>

#define CHECK(condition)                                                           \
    do {                                                                           \
        if (!(condition)) {                                                        \
            std::cerr << __FILE__ << ':' << __LINE__ << ": " << #condition << '\n'; \
            std::exit(1);                                                          \
        }                                                                          \
    } while (0)

static_assert(!std::is_copy_constructible<FilesSession>::value, "a session has one owner");
static_assert(std::is_nothrow_move_constructible<FilesSession>::value, "a session can be moved");
static_assert(std::is_nothrow_copy_constructible<FilesSessionError>::value, "as exceptions must");

static FilesSessionOptions options_for(const std::string &url, const std::string &user)
{
    FilesSessionOptions options;
    options.base_url = url;
    options.username = user;
    options.password = "password";
    options.proxy = "";
    return options;
}

// The error of work that must fail. The copy outlives the exception.
template <typename Work>
static FilesSessionError failure_of(Work work)
{
    try {
        work();
    } catch (const FilesSessionError &error) {
        return error;
    }
    CHECK(!"it fails");
    std::abort();
}

static void logs_in_and_out(const std::string &url)
{
    FilesSessionOptions options = options_for(url, "username");
    options.otp = "123456";
    options.language = "de";
    options.user_agent = "cpp/1.0";
    options.timeout_ms = 20000;
    options.connect_timeout_ms = 10000;
    options.retries = -1;
    options.allow_http = true;
    FilesSession first = FilesSession::login(options);
    const FilesSession session = std::move(first);
    CHECK(!first.get());
    CHECK(files_session_base_url(session.get()) == url);
    CHECK(files_session_language(session.get()) == std::string("en"));
    CHECK(files_session_multiple_regions(session.get()) == 1);
    session.logout();

    const std::string id = files_session_id(session.get());
    FilesSession::resume(options, id).logout();
}

static void errors_have_facts(const std::string &url)
{
    const FilesSessionError locked =
        failure_of([&] { FilesSession::login(options_for(url, "locked-out")); });
    CHECK(locked.status() == FILES_SESSION_LOCKED_OUT);
    CHECK(files_session_error_http_status(locked.get()) == 401);
    CHECK(files_session_error_type(locked.get()) == std::string("not-authenticated/locked-out"));
    CHECK(std::string(locked.what()).find("the user is locked out") != std::string::npos);

    const FilesSession unknown = FilesSession::resume(options_for(url, "username"), "unknown");
    CHECK(failure_of([&] { unknown.logout(); }).status() == FILES_SESSION_INVALID_SESSION);
}

// As files_session.hpp suggests. These are the codes that the user types.
static FilesSession log_in(const FilesSessionOptions &options, std::vector<std::string> codes)
{
    const auto ask = [&] {
        CHECK(!codes.empty());
        const std::string code = codes.front();
        codes.erase(codes.begin());
        return code;
    };
    try {
        return FilesSession::login(options);
    } catch (FilesSessionError &challenge) {
        while (challenge.status() == FILES_SESSION_TWO_FACTOR_REQUIRED ||
               challenge.status() == FILES_SESSION_OTP_INCORRECT) {
            CHECK(files_session_error_method(challenge.get(), 0) == std::string("totp"));
            CHECK(!files_session_error_method(challenge.get(), 1));
            try {
                return FilesSession::answer(options, challenge, ask());
            } catch (const FilesSessionError &error) {
                challenge = error;
            }
        }
        throw;
    }
}

static void a_second_factor_is_answered_again(const std::string &url)
{
    log_in(options_for(url, "totp"), {"654321", "123 456"}).logout();
    // Any other failure ends the loop: this code is too long.
    const std::vector<std::string> codes = {"654321", std::string(70000, '1')};
    const FilesSessionError error = failure_of([&] { log_in(options_for(url, "totp"), codes); });
    CHECK(error.status() == FILES_SESSION_INVALID_INPUT);
}

static void another_thread_cancels()
{
    sockaddr_in address = {};
    socklen_t length = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, reinterpret_cast<sockaddr *>(&address), length) == 0);
    CHECK(listen(listener, 1) == 0);
    CHECK(getsockname(listener, reinterpret_cast<sockaddr *>(&address), &length) == 0);

    const FilesSessionCanceller canceller;
    std::thread other([&] {
        const int connection = accept(listener, nullptr, nullptr);
        canceller.cancel();
        char byte;
        while (recv(connection, &byte, 1, 0) > 0) {
        }
        close(connection);
    });
    FilesSessionOptions options =
        options_for("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), "username");
    options.canceller = canceller.get();
    const FilesSessionError error = failure_of([&] { FilesSession::login(options); });
    CHECK(error.status() == FILES_SESSION_CANCELLED);
    other.join();
    close(listener);
}

// C would truncate the string, and log in with the right password.
static void a_string_with_a_nul_is_rejected()
{
    FilesSessionOptions options;
    try {
        options.password = std::string("password\0x", 10);
    } catch (const std::invalid_argument &) {
        CHECK(!options.get().password);
        return;
    }
    CHECK(!"it is rejected");
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    logs_in_and_out(argv[1]);
    errors_have_facts(argv[1]);
    a_second_factor_is_answered_again(argv[1]);
    another_thread_cancels();
    a_string_with_a_nul_is_rejected();
    std::cout << "ok\n";
    return 0;
}
