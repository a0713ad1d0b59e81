/*
 * Calls every function of files_session.h: with what works, with every refusal, and with NULL.
 *
 *     all BASE_URL [CA_PEM_FILE [WRONG_BASE_URL]]
 *
 * Says "ok" at its end; stops at the first thing that is not as it should be.
 */

#include "files_session.h"

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

typedef int yes_or_no_getter(const files_session *);

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
    CHECK(same(files_session_timeout_at(session), "2026-11-22T18:00:00-05:00"));
    CHECK(files_session_max_dir_listing_size(session, &n) && n == 1);
    CHECK(files_session_site_id(session, &n) && n == 2);
    CHECK(files_session_site_id(session, NULL));
    CHECK(files_session_logout(session, &error) == FILES_SESSION_OK && !error);
    files_session_free(session);

    /* Without asking for the error. */
    CHECK(files_session_login(&options, &session, NULL) == FILES_SESSION_OK);
    CHECK(files_session_logout(session, NULL) == FILES_SESSION_OK);
    files_session_free(session);
}

/* Four users whose attributes are the bits of each one's number: no two agree for all four. */
static void yes_or_no(const char *base_url)
{
    yes_or_no_getter *const getters[] = {
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
    };
    const char *users[] = {"bits-0", "bits-1", "bits-2", "bits-3"};
    for (int bit = 0; bit < 4; bit++) {
        files_session_options options = with(base_url, NULL);
        files_session *session = NULL;
        options.username = users[bit];
        CHECK(files_session_login(&options, &session, NULL) == FILES_SESSION_OK);
        for (int i = 0; i < 12; i++) {
            CHECK(getters[i](session) == ((i + 1) >> bit & 1));
        }
        files_session_free(session);
    }
}

static void attributes_left_out(const char *base_url)
{
    files_session_options options = with(base_url, NULL);
    files_session *session = NULL;
    int64_t n = 7;

    options.username = "few-attributes";
    CHECK(files_session_login(&options, &session, NULL) == FILES_SESSION_OK);
    CHECK(same(files_session_id(session), "few"));
    CHECK(!files_session_language(session) && !files_session_login_token(session));
    CHECK(!files_session_login_token_domain(session) && !files_session_timeout_at(session));
    /* A NUL in JSON, as the header says it comes out. */
    CHECK(same(files_session_root_path(session), "a\xE2\x90\x80" "b"));
    CHECK(files_session_read_only(session) == 0);
    CHECK(files_session_multiple_regions(session) == -1);
    CHECK(files_session_sftp_insecure_ciphers(session) == -1);
    CHECK(files_session_ssl_required(session) == -1);
    CHECK(files_session_tls_disabled(session) == -1);
    CHECK(files_session_two_factor_setup_needed(session) == -1);
    CHECK(files_session_allowed_2fa_method_sms(session) == -1);
    CHECK(files_session_allowed_2fa_method_totp(session) == -1);
    CHECK(files_session_allowed_2fa_method_u2f(session) == -1);
    CHECK(files_session_allowed_2fa_method_yubi(session) == -1);
    CHECK(files_session_use_provided_modified_at(session) == -1);
    CHECK(files_session_windows_mode_ftp(session) == -1);
    CHECK(files_session_site_id(session, &n) && n == INT64_MIN);
    n = 7;
    CHECK(!files_session_max_dir_listing_size(session, &n) && n == 7);
    files_session_free(session);
}

static void second_factor(const char *base_url)
{
    const char *methods[] = {"totp", "yubi"};
    for (size_t i = 0; i < 2; i++) {
        files_session_options options = with(base_url, NULL);
        files_session *session = NULL;
        files_session_error *asked = NULL, *error = NULL;

        options.username = methods[i];
        CHECK(files_session_login(&options, &session, &asked) == FILES_SESSION_TWO_FACTOR_REQUIRED);
        CHECK(!session);
        CHECK(same(files_session_error_method(asked, 0), methods[i]));
        CHECK(!files_session_error_method(asked, 1));
        CHECK(!files_session_error_method(asked, (size_t)-1));
        CHECK(same(files_session_error_partial_session_id(asked), "partial-9f8e7d6c5b4a"));
        CHECK(strstr(files_session_error_data(asked), "partial-9f8e7d6c5b4a"));

        CHECK(files_session_answer(&options, asked, "wrong", &session, &error) ==
              FILES_SESSION_INVALID_CREDENTIALS);
        CHECK(!session);
        /* An error that asks for nothing has no answer. */
        CHECK(files_session_answer(&options, error, "123456", &session, NULL) ==
              FILES_SESSION_INVALID_INPUT);
        files_session_error_free(error);
        CHECK(files_session_answer(&options, asked, NULL, &session, NULL) ==
              FILES_SESSION_INVALID_INPUT);
        CHECK(files_session_answer(&options, NULL, "123456", &session, NULL) ==
              FILES_SESSION_INVALID_INPUT);
        CHECK(files_session_answer(&options, asked, "123456", NULL, NULL) ==
              FILES_SESSION_INVALID_INPUT);

        /* Only a Yubikey's code goes without the password. */
        options.password = NULL;
        CHECK(files_session_answer(&options, asked, "123456", &session, &error) ==
              (i == 0 ? FILES_SESSION_INVALID_INPUT : FILES_SESSION_OK));
        CHECK(!session == (i == 0) && !error == (i == 1));
        if (error) {
            CHECK(same(files_session_error_message(error), "password is NULL"));
        }
        files_session_error_free(error);
        files_session_free(session);
        options.password = "password";

        /* It goes to the host that asked, whatever base_url says. */
        options.base_url = "http://127.0.0.1:9";
        CHECK(files_session_answer(&options, asked, "123456", &session, &error) ==
              FILES_SESSION_OK);
        CHECK(session && !error && same(files_session_base_url(session), base_url));
        options.base_url = base_url;
        files_session_error_free(asked);
        CHECK(files_session_logout(session, NULL) == FILES_SESSION_OK);
        files_session_free(session);
    }

    /* The code, or the id of the first request, are known beforehand. */
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

static void refusals(const char *base_url)
{
    static const struct {
        const char *username;
        files_session_status status;
        int http_status;
        const char *type, *title, *site_message, *request_id, *host, *location;
        int64_t retry_after;
    } rows[] = {
        {"nobody", FILES_SESSION_INVALID_CREDENTIALS, 401,
         "not-authenticated/invalid-username-or-password", "Invalid Username Or Password",
         "Invalid username or password", "5d4c3b2a", NULL, NULL, -1},
        {"locked-out", FILES_SESSION_LOCKED_OUT, 401, "not-authenticated/locked-out", NULL,
         "Locked out", "the-instance", NULL, NULL, -1},
        {"elsewhere", FILES_SESSION_REGION_MISMATCH, 401,
         "not-authenticated/lockout-region-mismatch", NULL, "Other region", NULL,
         "eu.example.com", NULL, -1},
        {"too-often", FILES_SESSION_RATE_LIMITED, 429, "rate-limited/too-many-login-attempts",
         NULL, "Too many", NULL, NULL, NULL, 3600},
        {"html", FILES_SESSION_UNEXPECTED_RESPONSE, 404, NULL, NULL, NULL, NULL, NULL, NULL, -1},
        {"redirect", FILES_SESSION_UNEXPECTED_RESPONSE, 301, NULL, NULL, NULL, NULL, NULL,
         "https://evil.example/", -1},
        {"no-id", FILES_SESSION_UNEXPECTED_RESPONSE, 201, NULL, NULL, NULL, NULL, NULL, NULL, -1},
        {"broken", FILES_SESSION_SERVICE_UNAVAILABLE, 500, NULL, NULL, NULL, NULL, NULL, NULL,
         -1},
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

    options.username = options.password = options.otp = "\xFF"; /* are not looked at */
    CHECK(files_session_resume(&options, "60525f92e859c4c3d74cb02fd176b1525901b525", &session,
                               &error) == FILES_SESSION_OK);
    CHECK(session && !error && !files_session_language(session));
    CHECK(files_session_logout(session, NULL) == FILES_SESSION_OK);
    files_session_free(session);

    CHECK(files_session_resume(&options, "gone", &session, NULL) == FILES_SESSION_OK);
    /* An error, and the same call again. */
    for (int i = 0; i < 2; i++) {
        CHECK(files_session_logout(session, &error) == FILES_SESSION_INVALID_SESSION);
        files_session_error_free(error);
    }
    files_session_free(session);

    const char *unfit[] = {"", "a b", "a\r\nX-Evil: 1", "\xC3\xA9", "\xFF", NULL};
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        CHECK(files_session_resume(&options, unfit[i], &session, &error) ==
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

static void invalid(const files_session_options *options, const char *says)
{
    files_session *session = NULL;
    files_session_error *error = NULL;
    CHECK(files_session_login(options, &session, &error) == FILES_SESSION_INVALID_INPUT);
    CHECK(!session && error && files_session_error_status(error) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_error_http_status(error) == 0);
    if (!strstr(files_session_error_message(error), says)) {
        fprintf(stderr, "not '%s': %s\n", says, files_session_error_message(error));
        exit(1);
    }
    files_session_error_free(error);
}

static void bad_input(const char *base_url)
{
    files_session_options options;

    invalid(NULL, "options is NULL");
    options = with(base_url, NULL);
    CHECK(files_session_login(&options, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    options.username = NULL;
    invalid(&options, "username is NULL");
    options = with(base_url, NULL);
    options.password = NULL;
    invalid(&options, "password is NULL");
    options = with(base_url, NULL);
    options.password = "\xFF";
    invalid(&options, "password is not UTF-8");
    options = with("http://mysite.test.invalid", NULL);
    invalid(&options, "use https, or set allow_http if");
    options = with("https://mysite.test.invalid/?a", NULL);
    invalid(&options, "has a query");
    options = with("\xC3\x28", NULL);
    invalid(&options, "base_url is not UTF-8");
    options = with(base_url, NULL);
    options.language = "d\ne";
    invalid(&options, "language");
    options = with(base_url, NULL);
    options.allow_http = 2;
    invalid(&options, "allow_http is neither 0 nor 1");
    options = with(base_url, NULL);
    options.proxy = "socks5://proxy.test.invalid";
    invalid(&options, "proxy is a SOCKS proxy");
    options = with(base_url, NULL);
    options.proxy = "\xFF";
    invalid(&options, "proxy is not UTF-8");
    options = with(base_url, "no PEM at all");
    invalid(&options, "ca_pem has no certificate");
    options = with(base_url, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    invalid(&options, "ca_pem has a part that is no PEM");
}

/* Options of any size, in memory of their own, so that reading past their end shows. */
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
        for (size_t at = known; at < larger[i]; at += larger[i] - known > 1 ? larger[i] - known - 1 : 1) {
            ((char *)later)[at] = 1;
            invalid(later, "an option set behind");
            ((char *)later)[at] = 0;
        }
        free(later);
    }
}

/* Exactly the bytes that it was told of. */
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
    CHECK(files_session_login(NULL, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_answer(NULL, NULL, NULL, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_resume(NULL, NULL, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_logout(NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(!files_session_id(NULL) && !files_session_base_url(NULL));
    CHECK(!files_session_language(NULL));
    CHECK(!files_session_login_token(NULL) && !files_session_login_token_domain(NULL));
    CHECK(!files_session_root_path(NULL) && !files_session_timeout_at(NULL));
    CHECK(files_session_multiple_regions(NULL) == -1 && files_session_read_only(NULL) == -1);
    CHECK(files_session_sftp_insecure_ciphers(NULL) == -1);
    CHECK(files_session_ssl_required(NULL) == -1 && files_session_tls_disabled(NULL) == -1);
    CHECK(files_session_two_factor_setup_needed(NULL) == -1);
    CHECK(files_session_allowed_2fa_method_sms(NULL) == -1);
    CHECK(files_session_allowed_2fa_method_totp(NULL) == -1);
    CHECK(files_session_allowed_2fa_method_u2f(NULL) == -1);
    CHECK(files_session_allowed_2fa_method_yubi(NULL) == -1);
    CHECK(files_session_use_provided_modified_at(NULL) == -1);
    CHECK(files_session_windows_mode_ftp(NULL) == -1);
    CHECK(!files_session_max_dir_listing_size(NULL, NULL) && !files_session_site_id(NULL, NULL));
    CHECK(files_session_error_status(NULL) == FILES_SESSION_OK);
    CHECK(files_session_error_http_status(NULL) == 0);
    CHECK(!files_session_error_message(NULL) && !files_session_error_type(NULL));
    CHECK(!files_session_error_title(NULL) && !files_session_error_request_id(NULL));
    CHECK(files_session_error_retry_after(NULL) == -1);
    CHECK(!files_session_error_partial_session_id(NULL) && !files_session_error_method(NULL, 0));
    CHECK(!files_session_error_host(NULL) && !files_session_error_data(NULL));
    CHECK(!files_session_error_site_message(NULL) && !files_session_error_location(NULL));
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = (char *)calloc(1, 65536);
    CHECK(file && text && fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    CHECK(same(files_session_version(), FILES_SESSION_VERSION));
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", FILES_SESSION_VERSION_MAJOR,
             FILES_SESSION_VERSION_MINOR, FILES_SESSION_VERSION_PATCH);
    CHECK(same(files_session_version(), version));

    char *ca_pem = argc >= 3 ? read_file(argv[2]) : NULL;
    login_and_logout(argv[1], ca_pem);
    if (!ca_pem) {
        yes_or_no(argv[1]);
        attributes_left_out(argv[1]);
        second_factor(argv[1]);
        refusals(argv[1]);
        resume(argv[1]);
        bad_input(argv[1]);
        sizes(argv[1]);
        options_init();
        null_everywhere();
        CHECK(same(files_session_status_text(FILES_SESSION_OK), "ok"));
        CHECK(same(files_session_status_text(FILES_SESSION_LOCKED_OUT), "user locked out"));
        CHECK(same(files_session_status_text(-7), "unknown status"));
    }

    /* A server that this CA does not vouch for. */
    if (argc >= 4) {
        files_session_options options = with(argv[3], ca_pem);
        files_session *session = NULL;
        files_session_error *error = NULL;
        CHECK(files_session_login(&options, &session, &error) == FILES_SESSION_TLS);
        CHECK(!session && strstr(files_session_error_message(error), "trusted"));
        files_session_error_free(error);
    }
    free(ca_pem);
    puts("ok");
    return 0;
}
