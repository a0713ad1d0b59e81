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

static files_session_options with(const char *base_url, const char *ca_pem)
{
    files_session_options options = FILES_SESSION_OPTIONS_INIT;
    CHECK(options.size == sizeof options && options.retries == -1 && !options.allow_http);
    options.base_url = base_url;
    options.username = "username";
    options.password = "password";
    options.language = "de";
    options.ca_pem = ca_pem;
    options.timeout_ms = 20000;
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
    CHECK(same(files_session_language(session), "en"));
    CHECK(same(files_session_login_token(session), "@tok-randomcode"));
    CHECK(same(files_session_login_token_domain(session), "https://mysite.files.com"));
    CHECK(same(files_session_root_path(session), ""));
    CHECK(same(files_session_timeout_at(session), "2026-11-22T18:00:00-05:00"));
    CHECK(files_session_multiple_regions(session) == 1);
    CHECK(files_session_read_only(session) == 1);
    CHECK(files_session_sftp_insecure_ciphers(session) == 1);
    CHECK(files_session_ssl_required(session) == 1);
    CHECK(files_session_tls_disabled(session) == 1);
    CHECK(files_session_two_factor_setup_needed(session) == 1);
    CHECK(files_session_allowed_2fa_method_sms(session) == 1);
    CHECK(files_session_allowed_2fa_method_totp(session) == 1);
    CHECK(files_session_allowed_2fa_method_u2f(session) == 1);
    CHECK(files_session_allowed_2fa_method_yubi(session) == 1);
    CHECK(files_session_use_provided_modified_at(session) == 1);
    CHECK(files_session_windows_mode_ftp(session) == 1);
    CHECK(files_session_max_dir_listing_size(session, &n) && n == 1);
    n = 7;
    CHECK(files_session_site_id(session, &n) && n == 1);
    CHECK(files_session_site_id(session, NULL));
    CHECK(files_session_logout(session, &error) == FILES_SESSION_OK && !error);
    files_session_free(session);

    /* Without asking for the error. */
    CHECK(files_session_login(&options, &session, NULL) == FILES_SESSION_OK);
    CHECK(files_session_logout(session, NULL) == FILES_SESSION_OK);
    files_session_free(session);
}

static void attributes_left_out(const char *base_url, const char *ca_pem)
{
    files_session_options options = with(base_url, ca_pem);
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

static void second_factor(const char *base_url, const char *ca_pem)
{
    const char *methods[] = {"totp", "yubi"};
    for (size_t i = 0; i < 2; i++) {
        files_session_options options = with(base_url, ca_pem);
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

        CHECK(files_session_answer(&options, asked, "123456", &session, &error) ==
              FILES_SESSION_OK);
        CHECK(session && !error);
        files_session_error_free(asked);
        CHECK(files_session_logout(session, NULL) == FILES_SESSION_OK);
        files_session_free(session);
    }

    /* The code, or the id of the first request, are known beforehand. */
    files_session_options options = with(base_url, ca_pem);
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

static void refusals(const char *base_url, const char *ca_pem)
{
    static const struct {
        const char *username;
        files_session_status status;
        int http_status;
        const char *type, *title, *request_id, *host;
        int64_t retry_after;
    } rows[] = {
        {"nobody", FILES_SESSION_INVALID_CREDENTIALS, 401,
         "not-authenticated/invalid-username-or-password", "Invalid Username Or Password",
         "5d4c3b2a", NULL, -1},
        {"locked-out", FILES_SESSION_LOCKED_OUT, 401, "not-authenticated/locked-out", NULL,
         "the-instance", NULL, -1},
        {"elsewhere", FILES_SESSION_REGION_MISMATCH, 401,
         "not-authenticated/lockout-region-mismatch", NULL, NULL, "eu.example.com", -1},
        {"too-often", FILES_SESSION_RATE_LIMITED, 429, "rate-limited/too-many-login-attempts",
         NULL, NULL, NULL, 3600},
        {"html", FILES_SESSION_UNEXPECTED_RESPONSE, 404, NULL, NULL, NULL, NULL, -1},
        {"redirect", FILES_SESSION_UNEXPECTED_RESPONSE, 301, NULL, NULL, NULL, NULL, -1},
        {"no-id", FILES_SESSION_UNEXPECTED_RESPONSE, 201, NULL, NULL, NULL, NULL, -1},
        {"broken", FILES_SESSION_SERVICE_UNAVAILABLE, 500, NULL, NULL, NULL, NULL, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        files_session_options options = with(base_url, ca_pem);
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
        CHECK(same(files_session_error_request_id(error), rows[i].request_id));
        CHECK(same(files_session_error_host(error), rows[i].host));
        CHECK(files_session_error_retry_after(error) == rows[i].retry_after);
        CHECK(!files_session_error_partial_session_id(error));
        CHECK(!files_session_error_method(error, 0));
        CHECK(!files_session_error_data(error) == !rows[i].host);
        files_session_error_free(error);
        CHECK(files_session_login(&options, &session, NULL) == rows[i].status);
    }
}

static void resume(const char *base_url, const char *ca_pem)
{
    files_session_options options = with(base_url, ca_pem);
    files_session *session = NULL;
    files_session_error *error = NULL;

    options.username = options.password = NULL;
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
}

static void invalid(const char *base_url, const files_session_options *options, const char *says)
{
    files_session *session = NULL;
    files_session_error *error = NULL;
    (void)base_url;
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
    files_session *session = NULL;

    invalid(base_url, NULL, "options is NULL");
    options = with(base_url, NULL);
    CHECK(files_session_login(&options, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    options.username = NULL;
    invalid(base_url, &options, "username is NULL");
    options = with(base_url, NULL);
    options.password = NULL;
    invalid(base_url, &options, "password is NULL");
    options = with(base_url, NULL);
    options.password = "\xFF";
    invalid(base_url, &options, "password is not UTF-8");
    options = with("http://mysite.test.invalid", NULL);
    invalid(base_url, &options, "use https");
    options = with("https://mysite.test.invalid/?a", NULL);
    invalid(base_url, &options, "has a query");
    options = with("\xC3\x28", NULL);
    invalid(base_url, &options, "base_url is not UTF-8");
    options = with(base_url, NULL);
    options.language = "d\ne";
    invalid(base_url, &options, "language");
    options = with(base_url, NULL);
    options.retries = -2;
    invalid(base_url, &options, "retries is less than -1");
    options = with(base_url, "no PEM at all");
    invalid(base_url, &options, "ca_pem has no certificate");
    options = with(base_url, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    invalid(base_url, &options, "ca_pem has a part that is no PEM");

    const size_t senseless[] = {0, 1, sizeof(size_t), sizeof options - 1 - sizeof(uint32_t) * 2,
                                sizeof options + 1, sizeof options * 2, (size_t)-1};
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        options = with(base_url, NULL);
        options.size = senseless[i];
        invalid(base_url, &options, "options.size");
    }

    /* The struct of an older program, which ended behind the password: in memory of its own, so
     * that reading past its end shows. */
    struct older {
        size_t size;
        const char *base_url, *username, *password;
    } *older = (struct older *)malloc(sizeof *older);
    CHECK(older);
    older->size = sizeof *older;
    older->base_url = base_url;
    older->username = "username";
    older->password = "password";
    CHECK(files_session_login((const files_session_options *)(const void *)older, &session,
                              NULL) == FILES_SESSION_OK);
    files_session_free(session);
    free(older);
}

static void null_everywhere(void)
{
    files_session_free(NULL);
    files_session_error_free(NULL);
    CHECK(files_session_login(NULL, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_answer(NULL, NULL, NULL, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_resume(NULL, NULL, NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(files_session_logout(NULL, NULL) == FILES_SESSION_INVALID_INPUT);
    CHECK(!files_session_id(NULL) && !files_session_language(NULL));
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
        attributes_left_out(argv[1], NULL);
        second_factor(argv[1], NULL);
        refusals(argv[1], NULL);
        resume(argv[1], NULL);
        bad_input(argv[1]);
        null_everywhere();
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
