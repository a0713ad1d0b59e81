/*
 * Calls every function of files_session.h: successfully, with typical refusals, and with NULL.
 *
 *     all BASE_URL [CA_PEM WRONG_BASE_URL]
 *
 * Prints "ok" at the end, or stops at the first check that fails.
 */

#include "files_session.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                         \
        }                                                                    \
    } while (0)

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* In the order of the reference. */
static int (*const yes_or_no[])(const files_session *) = {
    files_session_multiple_regions,
    files_session_read_only,
    files_session_sftp_insecure_ciphers,
    files_session_ssl_required,
    files_session_tls_disabled,
    files_session_two_factor_setup_needed,
    files_session_allowed_2fa_method_sms,
    files_session_allowed_2fa_method_totp,
    files_session_allowed_2fa_method_u2f,
    files_session_allowed_2fa_method_yubi,
    files_session_use_provided_modified_at,
    files_session_windows_mode_ftp,
    files_session_allowed_2fa_method_webauthn,
};
enum { YES_OR_NO = sizeof yes_or_no / sizeof *yes_or_no };

static files_session_options with(const char *base_url, const char *ca_pem)
{
    files_session_options options = FILES_SESSION_OPTIONS_INIT;
    files_session_options zeroed;
    memset(&zeroed, 0, sizeof zeroed);
    zeroed.size = sizeof zeroed;
    CHECK(memcmp(&options, &zeroed, sizeof options) == 0);
    options.base_url = base_url;
    options.username = "username";
    options.password = "password";
    options.language = "de";
    options.user_agent = "all/1.0";
    options.ca_pem = ca_pem;
    options.proxy = "";
    options.timeout_ms = 20000;
    options.connect_timeout_ms = 15000;
    options.retries = 1;
    return options;
}

static void login_and_logout(const char *base_url, const char *ca_pem)
{
    files_session_options options = with(base_url, ca_pem);
    files_session *session = NULL;
    files_session_error *error = NULL;
    int64_t n = 7;

    CHECK(files_session_login(&options, &session, &error) == FILES_SESSION_OK);
    CHECK(session && !error);
    CHECK(same(files_session_id(session), "60525f92e859c4c3d74cb02fd176b1525901b525"));
    CHECK(same(files_session_base_url(session), base_url));
    CHECK(same(files_session_language(session), "en"));
    CHECK(same(files_session_login_token(session), "@tok-randomcode"));
    CHECK(same(files_session_login_token_domain(session), "https://mysite.files.com"));
    CHECK(same(files_session_root_path(session), ""));
    CHECK(same(files_session_timeout_at(session), "2999-12-31T18:00:00-05:00"));
    CHECK(same(files_session_home_path(session), "home"));
    CHECK(files_session_max_dir_listing_size(session, &n) && n == 1);
    CHECK(files_session_site_id(session, &n) && n == 2);
    CHECK(files_session_site_id(session, NULL));
    CHECK(files_session_logout(session, &error) == FILES_SESSION_OK && !error);
    files_session_free(session);

    /* Without the error. */
    CHECK(files_session_login(&options, &session, NULL) == FILES_SESSION_OK);
    CHECK(files_session_logout(session, NULL) == FILES_SESSION_OK);
    files_session_free(session);
}

/* User `bits-N` gets bit N of each attribute's position: no two attributes agree for all users. */
static void yes_or_no_attributes(const char *base_url)
{
    const char *users[] = {"bits-0", "bits-1", "bits-2", "bits-3"};
    for (int bit = 0; bit < 4; bit++) {
        files_session_options options = with(base_url, NULL);
        files_session *session = NULL;
        options.username = users[bit];
        CHECK(files_session_login(&options, &session, NULL) == FILES_SESSION_OK);
        for (int i = 0; i < YES_OR_NO; i++) {
            CHECK(yes_or_no[i](session) == ((i + 1) >> bit & 1));
        }
        files_session_free(session);
    }
}

static void absent_attributes(const char *base_url)
{
    files_session_options options = with(base_url, NULL);
    files_session *session = NULL;
    int64_t n = 7;

    options.username = "few-attributes";
    CHECK(files_session_login(&options, &session, NULL) == FILES_SESSION_OK);
    CHECK(same(files_session_id(session), "few"));
    CHECK(!files_session_language(session) && !files_session_login_token(session));
    CHECK(!files_session_login_token_domain(session) && !files_session_timeout_at(session));
    CHECK(!files_session_home_path(session));
    /* A NUL in JSON becomes U+2400. */
    CHECK(same(files_session_root_path(session), "a\xE2\x90\x80" "b"));
    for (int i = 0; i < YES_OR_NO; i++) {
        CHECK(yes_or_no[i](session) == (yes_or_no[i] == files_session_read_only ? 0 : -1));
    }
    CHECK(files_session_site_id(session, &n) && n == INT64_MIN);
    n = 7;
    CHECK(!files_session_max_dir_listing_size(session, &n) && n == 7);
    files_session_free(session);
}

static void second_factor(const char *base_url)
{
    static const struct {
        const char *method, *code;
        bool needs_password;
        files_session_status wrong;
    } rows[] = {
        {"totp", "123 456", true, FILES_SESSION_OTP_INCORRECT},
        {"yubi", "123456", false, FILES_SESSION_INVALID_CREDENTIALS},
        {"webauthn", "{\"id\":\"device\"}", false, FILES_SESSION_OTP_INCORRECT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *code = rows[i].code;
        files_session_options options = with(base_url, NULL);
        files_session *session = NULL;
        files_session_error *challenge = NULL, *error = NULL;

        options.username = rows[i].method;
        CHECK(files_session_login(&options, &session, &challenge) ==
              FILES_SESSION_TWO_FACTOR_REQUIRED);
        CHECK(!session);
        CHECK(same(files_session_error_method(challenge, 0), rows[i].method));
        CHECK(!files_session_error_method(challenge, 1));
        CHECK(!files_session_error_method(challenge, (size_t)-1));
        CHECK(same(files_session_error_partial_session_id(challenge), "partial-9f8e7d6c5b4a"));
        CHECK(strstr(files_session_error_data(challenge), "partial-9f8e7d6c5b4a"));

        CHECK(files_session_answer(&options, challenge, "wrong", &session, &error) ==
              rows[i].wrong);
        /* This error carries the challenge on. */
        CHECK(!session && same(files_session_error_method(error, 0), rows[i].method));
        CHECK(same(files_session_error_partial_session_id(error), "partial-9f8e7d6c5b4a"));
        CHECK(files_session_answer(&options, error, "wrong", &session, NULL) == rows[i].wrong);
        files_session_error_free(error);
        CHECK(files_session_answer(&options, challenge, NULL, &session, NULL) ==
              FILES_SESSION_INVALID_INPUT);
        CHECK(files_session_answer(&options, NULL, "123456", &session, NULL) ==
              FILES_SESSION_INVALID_INPUT);
        CHECK(files_session_answer(&options, challenge, code, NULL, NULL) ==
              FILES_SESSION_INVALID_INPUT);

        /* The code of a device needs no password. */
        options.password = NULL;
        CHECK(files_session_answer(&options, challenge, code, &session, &error) ==
              (rows[i].needs_password ? FILES_SESSION_INVALID_INPUT : FILES_SESSION_OK));
        CHECK(!session == rows[i].needs_password && !error == !rows[i].needs_password);
        if (error) {
            CHECK(same(files_session_error_message(error), "password is NULL, but required"));
        }
        files_session_error_free(error);
        files_session_free(session);
        options.password = "password";

        /* The answer is sent to the host that asked, and not to base_url. */
        options.base_url = "http://127.0.0.1:9";
        CHECK(files_session_answer(&options, challenge, code, &session, &error) ==
              FILES_SESSION_OK);
        CHECK(session && !error && same(files_session_base_url(session), base_url));
        options.base_url = base_url;
        files_session_error_free(challenge);
        CHECK(files_session_logout(session, NULL) == FILES_SESSION_OK);
        files_session_free(session);
    }

    /* The code or the partial session id is known in advance. */
    files_session_options options = with(base_url, NULL);
    files_session *session = NULL;
    options.username = "totp";
    options.otp = "123456";
    CHECK(files_session_login(&options, &session, NULL) == FILES_SESSION_OK);
    files_session_free(session);
    options.username = "yubi";
    options.password = NULL;
    options.partial_session_id = "partial-9f8e7d6c5b4a";
    CHECK(files_session_login(&options, &session, NULL) == FILES_SESSION_OK);
    files_session_free(session);
}

/* The loop of files_session.h: the variable of the challenge is also the one for the error. The
 * login has no code, or a wrong one. Calls that send nothing carry the challenge on. */
static void answers_until_the_code_is_right(const char *base_url)
{
    const char *known[] = {NULL, "999999"};
    for (int i = 0; i < 2; i++) {
        files_session_options options = with(base_url, NULL);
        files_session *session = NULL;
        files_session_error *error = NULL;
        options.username = "totp";
        options.otp = known[i];

        files_session_status status = files_session_login(&options, &session, &error);
        CHECK(status == (i ? FILES_SESSION_OTP_INCORRECT : FILES_SESSION_TWO_FACTOR_REQUIRED));
        CHECK(files_session_answer(&options, error, NULL, &session, &error) ==
              FILES_SESSION_INVALID_INPUT);
        CHECK(files_session_answer(&options, error, "123456", NULL, &error) ==
              FILES_SESSION_INVALID_INPUT);
        CHECK(!session && files_session_error_status(error) == FILES_SESSION_INVALID_INPUT);
        options.canceller = files_session_canceller_new();
        files_session_cancel(options.canceller);
        CHECK(files_session_answer(&options, error, "123456", &session, &error) ==
              FILES_SESSION_CANCELLED);
        files_session_canceller_free(options.canceller);
        options.canceller = NULL;
        const char *codes[] = {"000 000", "123 456\n"};
        int n = 0;
        do {
            CHECK(same(files_session_error_method(error, 0), i ? NULL : "totp"));
            status = files_session_answer(&options, error, codes[n++], &session, &error);
        } while (status == FILES_SESSION_OTP_INCORRECT && n < 2);
        CHECK(status == FILES_SESSION_OK && n == 2 && session && !error);
        files_session_free(session);

        /* The same variable, but without a challenge. */
        CHECK(files_session_answer(&options, error, "123456", &session, &error) ==
              FILES_SESSION_INVALID_INPUT);
        CHECK(!session && error);
        files_session_error_free(error);
    }
}

static void refusals(const char *base_url)
{
    static const struct {
        const char *username;
        files_session_status status;
        int http_status;
        const char *type, *title, *site_message, *request_id, *host, *location;
        int64_t retry_after;
        int outcome_unknown, is_transient;
    } rows[] = {
        {"nobody", FILES_SESSION_INVALID_CREDENTIALS, 401,
         "not-authenticated/invalid-username-or-password", "Invalid Username Or Password",
         "Invalid username or password", "5d4c3b2a", NULL, NULL, -1, 0, 0},
        {"locked-out", FILES_SESSION_LOCKED_OUT, 401, "not-authenticated/locked-out", NULL,
         "Locked out", "the-instance", NULL, NULL, -1, 0, 0},
        {"elsewhere", FILES_SESSION_REGION_MISMATCH, 401,
         "not-authenticated/lockout-region-mismatch", NULL, "Other region", NULL,
         "eu.example.com", NULL, -1, 0, 0},
        {"too-often", FILES_SESSION_RATE_LIMITED, 429, "rate-limited/too-many-login-attempts",
         NULL, "Too many", NULL, NULL, NULL, 3600, 1, 1},
        {"html", FILES_SESSION_UNEXPECTED_RESPONSE, 404, NULL, NULL, NULL, NULL, NULL, NULL, -1,
         0, 0},
        {"redirect", FILES_SESSION_UNEXPECTED_RESPONSE, 301, NULL, NULL, NULL, NULL, NULL,
         "https://evil.example/", -1, 0, 0},
        {"no-id", FILES_SESSION_UNEXPECTED_RESPONSE, 201, NULL, NULL, NULL, NULL, NULL, NULL, -1,
         1, 0},
        {"broken", FILES_SESSION_SERVICE_UNAVAILABLE, 500, NULL, NULL, NULL, NULL, NULL, NULL,
         -1, 1, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        files_session_options options = with(base_url, NULL);
        files_session *session = (files_session *)&options; /* is overwritten */
        files_session_error *error = NULL;
        options.username = rows[i].username;
        CHECK(files_session_login(&options, &session, &error) == rows[i].status);
        CHECK(!session && error);
        CHECK(files_session_error_status(error) == rows[i].status);
        CHECK(files_session_error_http_status(error) == rows[i].http_status);
        CHECK(files_session_error_outcome_unknown(error) == rows[i].outcome_unknown);
        CHECK(files_session_error_is_transient(error) == rows[i].is_transient);
        CHECK(strlen(files_session_error_message(error)) > 20);
        CHECK(same(files_session_error_type(error), rows[i].type));
        CHECK(same(files_session_error_title(error), rows[i].title));
        CHECK(same(files_session_error_site_message(error), rows[i].site_message));
        CHECK(same(files_session_error_request_id(error), rows[i].request_id));
        CHECK(same(files_session_error_host(error), rows[i].host));
        CHECK(same(files_session_error_location(error), rows[i].location));
        CHECK(files_session_error_retry_after(error) == rows[i].retry_after);
        CHECK(!files_session_error_partial_session_id(error));
        CHECK(!files_session_error_method(error, 0));
        CHECK(!files_session_error_data(error) == !rows[i].host);
        files_session_error_free(error);
        CHECK(files_session_login(&options, &session, NULL) == rows[i].status);
    }
}

static void resume(const char *base_url)
{
    files_session_options options = with(base_url, NULL);
    files_session *session = NULL;
    files_session_error *error = NULL;

    options.username = options.password = options.otp = "\xFF"; /* ignored */
    CHECK(files_session_resume(&options, "60525f92e859c4c3d74cb02fd176b1525901b525", &session,
                               &error) == FILES_SESSION_OK);
    CHECK(session && !error && !files_session_language(session));
    CHECK(files_session_logout(session, NULL) == FILES_SESSION_OK);
    files_session_free(session);

    CHECK(files_session_resume(&options, "gone", &session, NULL) == FILES_SESSION_OK);
    /* The call may be repeated after an error. */
    for (int i = 0; i < 2; i++) {
        CHECK(files_session_logout(session, &error) == FILES_SESSION_INVALID_SESSION);
        files_session_error_free(error);
    }
    files_session_free(session);

    const char *invalid_ids[] = {"", "a b", "a\r\nX-Evil: 1", "\xC3\xA9", "\xFF", NULL};
    for (size_t i = 0; i < sizeof invalid_ids / sizeof *invalid_ids; i++) {
        CHECK(files_session_resume(&options, invalid_ids[i], &session, &error) ==
              FILES_SESSION_INVALID_INPUT);
        CHECK(!session && error);
        files_session_error_free(error);
    }
    CHECK(files_session_resume(&options, "id", NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_resume(NULL, "id", &session, NULL) == FILES_SESSION_INVALID_INPUT);

    /* A site that no call could use. */
    options.base_url = "http://mysite.test.invalid";
    CHECK(files_session_resume(&options, "id", &session, &error) == FILES_SESSION_INVALID_INPUT);
    CHECK(!session && strstr(files_session_error_message(error), "set allow_http if"));
    files_session_error_free(error);

    /* The default site. */
    files_session_options_init(&options, sizeof options);
    CHECK(files_session_resume(&options, "id", &session, NULL) == FILES_SESSION_OK);
    CHECK(same(files_session_base_url(session), "https://app.files.com"));
    files_session_free(session);
}

static void cancelled(const char *base_url)
{
    files_session_options options = with(base_url, NULL);
    files_session *session = NULL, *other = NULL;
    options.canceller = files_session_canceller_new();
    CHECK(options.canceller);
    CHECK(files_session_login(&options, &session, NULL) == FILES_SESSION_OK);
    files_session_cancel(options.canceller);
    files_session_cancel(options.canceller);
    CHECK(files_session_login(&options, &other, NULL) == FILES_SESSION_CANCELLED && !other);
    CHECK(files_session_logout(session, NULL) == FILES_SESSION_CANCELLED);
    files_session_canceller_free(options.canceller);
    CHECK(files_session_logout(session, NULL) == FILES_SESSION_CANCELLED);

    /* To log out after all. */
    options.canceller = NULL;
    CHECK(files_session_resume(&options, files_session_id(session), &other, NULL) ==
          FILES_SESSION_OK);
    CHECK(files_session_logout(other, NULL) == FILES_SESSION_OK);
    files_session_free(other);
    files_session_free(session);
}

static void invalid(const files_session_options *options, const char *message)
{
    files_session *session = NULL;
    files_session_error *error = NULL;
    CHECK(files_session_login(options, &session, &error) == FILES_SESSION_INVALID_INPUT);
    CHECK(!session && error && files_session_error_status(error) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_error_http_status(error) == 0);
    if (!strstr(files_session_error_message(error), message)) {
        fprintf(stderr, "not '%s': %s\n", message, files_session_error_message(error));
        exit(1);
    }
    files_session_error_free(error);
}

/* Each member, with a value that it can't have. */
static void bad_input(const char *base_url)
{
#define MEMBER(name) offsetof(files_session_options, name)
    static const struct {
        size_t member;
        const char *value, *message;
    } rows[] = {
        {MEMBER(username), NULL, "username is NULL"},
        {MEMBER(password), NULL, "password is NULL"},
        {MEMBER(password), "\xFF", "password is not UTF-8"},
        {MEMBER(base_url), "http://mysite.test.invalid", "use https, or set allow_http if"},
        {MEMBER(base_url), "https://mysite.test.invalid/?a", "has a query"},
        {MEMBER(base_url), "\xC3\x28", "base_url is not UTF-8"},
        {MEMBER(language), "d\ne", "language is not a valid header value"},
        {MEMBER(user_agent), "a\nb", "user_agent is not a valid header value"},
        {MEMBER(user_agent), "\xFF", "user_agent is not UTF-8"},
        {MEMBER(proxy), "socks5://proxy.test.invalid", "proxy is a SOCKS proxy"},
        {MEMBER(proxy), "\xFF", "proxy is not UTF-8"},
        {MEMBER(ca_pem), "/etc/ssl/certs/ca.pem",
         "ca_pem has no certificate: it must be the PEM text, not a file name"},
        {MEMBER(ca_pem), "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
         "ca_pem has a block that is not valid PEM"},
        {MEMBER(ca_pem), "caf\xE9\n-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
         "ca_pem has a private key"},
    };
    files_session_options options = with(base_url, NULL);
    invalid(NULL, "options is NULL");
    CHECK(files_session_login(&options, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        options = with(base_url, NULL);
        memcpy((char *)&options + rows[i].member, &rows[i].value, sizeof rows[i].value);
        invalid(&options, rows[i].message);
    }
}

/* Options of any size, each in memory from malloc, so that valgrind sees a read past the end. */
static void sizes(const char *base_url)
{
    const files_session_options options = with(base_url, NULL);
    const size_t known = sizeof options;
    files_session *session = NULL;

    const size_t refused[] = {0, 1, sizeof(size_t), known - 4, known - 1, 4097, (size_t)-1};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        files_session_options wrong = options;
        wrong.size = refused[i];
        invalid(&wrong, "options.size is not sizeof(files_session_options)");
    }

    const size_t larger[] = {known, known + 1, known + 4, known * 2, 4096};
    for (size_t i = 0; i < sizeof larger / sizeof *larger; i++) {
        files_session_options *later = (files_session_options *)malloc(larger[i]);
        CHECK(later);
        files_session_options_init(later, larger[i]);
        CHECK(later->size == larger[i] && !later->username && !later->allow_http);
        memcpy(later, &options, known);
        later->size = larger[i];
        CHECK(files_session_login(later, &session, NULL) == FILES_SESSION_OK);
        CHECK(files_session_logout(session, NULL) == FILES_SESSION_OK);
        files_session_free(session);
        /* The first byte of the excess, and the last. */
        const size_t places[] = {known, larger[i] - 1};
        for (size_t p = 0; p < 2 && larger[i] > known; p++) {
            ((char *)later)[places[p]] = 1;
            invalid(later, "an option that this version doesn't know is set");
            ((char *)later)[places[p]] = 0;
        }
        free(later);
    }
}

/* It sets exactly as many bytes as it is told. */
static void options_init(void)
{
    union {
        files_session_options options;
        unsigned char bytes[sizeof(files_session_options) + 8];
    } memory;
    for (size_t size = 0; size <= sizeof memory; size++) {
        memset(&memory, 0xAA, sizeof memory);
        files_session_options_init(&memory.options, size);
        if (size >= sizeof(size_t)) {
            CHECK(memory.options.size == size);
        }
        for (size_t i = size < sizeof(size_t) ? 0 : sizeof(size_t); i < sizeof memory; i++) {
            CHECK(memory.bytes[i] == (size >= sizeof(size_t) && i < size ? 0 : 0xAA));
        }
    }
    files_session_options_init(NULL, sizeof memory);
}

static void null_everywhere(void)
{
    files_session_free(NULL);
    files_session_error_free(NULL);
    files_session_canceller_free(NULL);
    files_session_cancel(NULL);
    CHECK(files_session_login(NULL, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_answer(NULL, NULL, NULL, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_resume(NULL, NULL, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_logout(NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(!files_session_id(NULL) && !files_session_base_url(NULL));
    CHECK(!files_session_language(NULL));
    CHECK(!files_session_login_token(NULL) && !files_session_login_token_domain(NULL));
    CHECK(!files_session_root_path(NULL) && !files_session_timeout_at(NULL));
    CHECK(!files_session_home_path(NULL));
    for (int i = 0; i < YES_OR_NO; i++) {
        CHECK(yes_or_no[i](NULL) == -1);
    }
    CHECK(!files_session_max_dir_listing_size(NULL, NULL) && !files_session_site_id(NULL, NULL));
    CHECK(files_session_error_status(NULL) == FILES_SESSION_OK);
    CHECK(files_session_error_http_status(NULL) == 0);
    CHECK(files_session_error_outcome_unknown(NULL) == 0);
    CHECK(files_session_error_is_transient(NULL) == 0);
    CHECK(!files_session_error_message(NULL) && !files_session_error_type(NULL));
    CHECK(!files_session_error_title(NULL) && !files_session_error_request_id(NULL));
    CHECK(files_session_error_retry_after(NULL) == -1);
    CHECK(!files_session_error_partial_session_id(NULL) && !files_session_error_method(NULL, 0));
    CHECK(!files_session_error_host(NULL) && !files_session_error_data(NULL));
    CHECK(!files_session_error_site_message(NULL) && !files_session_error_location(NULL));
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    CHECK(same(files_session_version(), FILES_SESSION_VERSION_STRING));
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", FILES_SESSION_VERSION_MAJOR,
             FILES_SESSION_VERSION_MINOR, FILES_SESSION_VERSION_PATCH);
    CHECK(same(files_session_version(), version));
    CHECK(FILES_SESSION_VERSION_NUMBER ==
          (FILES_SESSION_VERSION_MAJOR << 16 | FILES_SESSION_VERSION_MINOR << 8 |
           FILES_SESSION_VERSION_PATCH));

    const char *ca_pem = argc > 2 ? argv[2] : NULL;
    login_and_logout(argv[1], ca_pem);
    if (!ca_pem) {
        yes_or_no_attributes(argv[1]);
        absent_attributes(argv[1]);
        second_factor(argv[1]);
        answers_until_the_code_is_right(argv[1]);
        refusals(argv[1]);
        resume(argv[1]);
        cancelled(argv[1]);
        bad_input(argv[1]);
        sizes(argv[1]);
        options_init();
        null_everywhere();
        CHECK(same(files_session_status_text(FILES_SESSION_OK), "ok"));
        CHECK(same(files_session_status_text(FILES_SESSION_LOCKED_OUT), "user locked out"));
        CHECK(same(files_session_status_text(FILES_SESSION_CANCELLED), "cancelled"));
        CHECK(same(files_session_status_text(-7), "unknown status"));
    }

    /* A server whose certificate is from another CA. */
    if (argc > 3) {
        files_session_options options = with(argv[3], ca_pem);
        files_session *session = NULL;
        files_session_error *error = NULL;
        CHECK(files_session_login(&options, &session, &error) == FILES_SESSION_TLS);
        CHECK(!session && strstr(files_session_error_message(error),
                                 "(set ca_pem for a private authority)"));
        files_session_error_free(error);
    }
    puts("ok");
    return 0;
}
