/*
 * files_session.h - log in to Files.com, and out again
 *
 * A blocking client for two calls of the Files.com REST API. A session is what a user gets for a
 * user name and a password, perhaps with a second factor; its id authenticates every later call,
 * in the header X-FilesAPI-Auth.
 *
 *     files_session_options options = FILES_SESSION_OPTIONS_INIT;
 *     options.base_url = "https://mysite.files.com";
 *     options.username = "username";
 *     options.password = "password";
 *
 *     files_session *session = NULL;
 *     files_session_error *error = NULL;
 *     if (files_session_login(&options, &session, &error) != FILES_SESSION_OK) {
 *         fprintf(stderr, "%s\n", files_session_error_message(error));
 *         files_session_error_free(error);
 *         return 1;
 *     }
 *     puts(files_session_id(session));
 *     files_session_logout(session, NULL);
 *     files_session_free(session);
 *
 * Rules that hold for every function
 *
 * - Strings that go in are UTF-8 and end with a NUL. They are only read during the call; nothing
 *   keeps a pointer to them, and no copy of a password is kept.
 * - Strings that come out are UTF-8 and end with a NUL. They belong to the session or the error
 *   that they were asked of, and are good until that is freed. A NUL inside a string, which JSON
 *   allows, comes out as U+2400, the symbol for it; nothing is cut off.
 * - What a function hands out through a pointer to a pointer has one owner, the caller, and one
 *   function that frees it. Each call overwrites what stood there: free it first.
 * - NULL may be given for any pointer. A call that cannot do without answers
 *   FILES_SESSION_INVALID_INPUT; a getter answers as if the attribute were absent; a free does
 *   nothing.
 * - Nothing is printed, no signal is raised, and errno means nothing.
 * - A session or an error may be used from any thread. Different ones may be used at the same
 *   time, and the getters and files_session_logout of the same one, too.
 */

#ifndef FILES_SESSION_H
#define FILES_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version ---------------------------------------------------------------------------------*/

/* The version of this header. */
#define FILES_SESSION_VERSION_MAJOR 0
#define FILES_SESSION_VERSION_MINOR 1
#define FILES_SESSION_VERSION_PATCH 0
#define FILES_SESSION_VERSION "0.1.0"

/* The version of the library that is linked, such as "0.1.0". Never NULL, never freed. */
const char *files_session_version(void);

/* ---- Types -----------------------------------------------------------------------------------*/

/* A user who is logged in. Free it with files_session_free; that does not log out. */
typedef struct files_session files_session;

/* Why a call did not succeed. Free it with files_session_error_free. */
typedef struct files_session_error files_session_error;

/* What a call came to. More may be added: treat one that is not known as a failure. */
typedef int32_t files_session_status;
enum {
    /* It worked. */
    FILES_SESSION_OK = 0,

    /* An argument is unusable; nothing was sent. */
    FILES_SESSION_INVALID_INPUT = 1,
    /* No connection: the name is not known, the port is closed, the proxy refused. */
    FILES_SESSION_CONNECT = 2,
    /* No trusted connection: the certificate or the handshake failed; nothing was sent. */
    FILES_SESSION_TLS = 3,
    /* The time limit was reached. */
    FILES_SESSION_TIMEOUT = 4,
    /* The connection broke off, or what came back is not HTTP, or is larger than the bounds. */
    FILES_SESSION_TRANSPORT = 5,
    /* An answer, but not of the Files.com API: a redirect, a page of some other server. */
    FILES_SESSION_UNEXPECTED_RESPONSE = 6,

    /* The site refused: by the group of the refusal, or else by its HTTP status. */
    FILES_SESSION_BAD_REQUEST = 10,
    FILES_SESSION_NOT_AUTHENTICATED = 11,
    FILES_SESSION_NOT_AUTHORIZED = 12,
    FILES_SESSION_NOT_FOUND = 13,
    FILES_SESSION_PROCESSING_FAILURE = 14,
    FILES_SESSION_RATE_LIMITED = 15,
    FILES_SESSION_SERVICE_UNAVAILABLE = 16,
    FILES_SESSION_SITE_CONFIGURATION = 17,

    /* The site refused, for a reason that a login acts on. */
    /* A second factor is needed: see files_session_answer. */
    FILES_SESSION_TWO_FACTOR_REQUIRED = 20,
    /* Wrong user name or password. */
    FILES_SESSION_INVALID_CREDENTIALS = 21,
    /* Wrong code, or one that is too old. */
    FILES_SESSION_OTP_INCORRECT = 22,
    /* The user is locked out, for a while or until an administrator acts. */
    FILES_SESSION_LOCKED_OUT = 23,
    /* This user logs in at another host: files_session_error_host. */
    FILES_SESSION_REGION_MISMATCH = 24,
    /* The session has ended, or never was. */
    FILES_SESSION_INVALID_SESSION = 25,

    /* A fault of this library. It was caught; the session, if there was one, can only be freed. */
    FILES_SESSION_PANIC = 99
};

/*
 * Where to log in, and who. Always start from FILES_SESSION_OPTIONS_INIT, which sets the size: a
 * later version can then add members at the end, and the library knows which of them it got.
 * NULL means: not given.
 */
typedef struct files_session_options {
    /* sizeof(files_session_options), as the program was compiled. */
    size_t size;
    /* An origin such as "https://mysite.files.com". NULL: https://app.files.com.
     * Without a scheme https is meant. */
    const char *base_url;
    /* Required for a login. */
    const char *username;
    /* Required for a login, unless partial_session_id is given. */
    const char *password;
    /* The code of a second factor, where it is known beforehand. */
    const char *otp;
    /* The id of a login that was begun before. */
    const char *partial_session_id;
    /* The language of the site's messages, as in Accept-Language: "de". NULL: the site chooses. */
    const char *language;
    /* Certificates in PEM that are trusted in place of the built-in ones: a private CA. */
    const char *ca_pem;
    /* The time limit of a call in milliseconds, everything included. 0: 60000. */
    uint32_t timeout_ms;
    /* How often a call is tried again at most. -1: 3. A login is only tried again where the first
     * try surely did not reach the site. */
    int32_t retries;
    /* Allows plain http to any host, not only to this machine. The password then crosses the
     * network readable for anyone. */
    bool allow_http;
} files_session_options;

#define FILES_SESSION_OPTIONS_INIT \
    { sizeof(files_session_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, -1, false }

/* ---- Calls -----------------------------------------------------------------------------------*/

/*
 * Logs in. On FILES_SESSION_OK, *session is a session to free; else it is NULL, and *error, if
 * error is not NULL, says why, to be freed as well.
 */
files_session_status files_session_login(const files_session_options *options,
                                         files_session **session, files_session_error **error);

/*
 * Logs in with a second factor. `asked` is the error of a login that was refused with
 * FILES_SESSION_TWO_FACTOR_REQUIRED, and stays the caller's; `code` is the user's answer; the
 * options are those of that login. The rest is as with files_session_login. `error` must not
 * point to the variable that holds `asked`, which would be lost.
 *
 * Where "yubi" is among the methods, the code is taken for that of a Yubikey, and goes with the
 * partial session id in place of the password; any other goes with user name and password.
 */
files_session_status files_session_answer(const files_session_options *options,
                                          const files_session_error *asked, const char *code,
                                          files_session **session, files_session_error **error);

/*
 * The session with this id, from a file or from an earlier process. Nothing is sent. Of the
 * options, user name and password are not looked at. The rest is as with files_session_login; an
 * id that cannot stand in an HTTP header is FILES_SESSION_INVALID_INPUT.
 */
files_session_status files_session_resume(const files_session_options *options, const char *id,
                                          files_session **session, files_session_error **error);

/*
 * Logs out, and tries again where no answer came. After an error it may be called again. The
 * session is still there afterwards, with all its attributes, and must be freed.
 */
files_session_status files_session_logout(const files_session *session,
                                          files_session_error **error);

/* Frees a session, without logging out. */
void files_session_free(files_session *session);

/* ---- Attributes of a session -----------------------------------------------------------------*/

/*
 * Text: NULL where the site left the attribute out.
 */

/* The session's id. A secret. Never NULL, but for a session that is NULL. */
const char *files_session_id(const files_session *session);
/* The language of the session. */
const char *files_session_language(const files_session *session);
/* A token with which the user can log in by browser, at login_token_domain. A secret. */
const char *files_session_login_token(const files_session *session);
/* The address where login_token is good. */
const char *files_session_login_token_domain(const files_session *session);
/* The folder in which the user's session starts. */
const char *files_session_root_path(const files_session *session);
/* When the session expires: an RFC 3339 time with an offset. */
const char *files_session_timeout_at(const files_session *session);

/*
 * Yes or no: 1 or 0, and -1 where the site left the attribute out.
 */

/* Can the user access several regions? */
int files_session_multiple_regions(const files_session *session);
/* Can the session only read? */
int files_session_read_only(const files_session *session);
/* Are insecure SFTP ciphers allowed to this user? */
int files_session_sftp_insecure_ciphers(const files_session *session);
/* Must the user use TLS for everything? */
int files_session_ssl_required(const files_session *session);
/* Are insecure TLS versions allowed to this user? */
int files_session_tls_disabled(const files_session *session);
/* Must the user add a two-factor method before the API allows anything else? The login worked. */
int files_session_two_factor_setup_needed(const files_session *session);
/* May SMS, TOTP, U2F, a Yubikey be that method? Sent only if one must be added. */
int files_session_allowed_2fa_method_sms(const files_session *session);
int files_session_allowed_2fa_method_totp(const files_session *session);
int files_session_allowed_2fa_method_u2f(const files_session *session);
int files_session_allowed_2fa_method_yubi(const files_session *session);
/* May the user give the modification times of files and folders? */
int files_session_use_provided_modified_at(const files_session *session);
/* Does the user want Windows line ends emulated? */
int files_session_windows_mode_ftp(const files_session *session);

/*
 * Numbers: true, and the number in *out; false where the site left the attribute out, and *out is
 * as it was. With out NULL, only whether it is there.
 */

/* The most files that one page of a folder's listing can have. */
bool files_session_max_dir_listing_size(const files_session *session, int64_t *out);
/* The id of the site. */
bool files_session_site_id(const files_session *session, int64_t *out);

/* ---- Facts of an error -----------------------------------------------------------------------*/

/* One sentence for people: what was wrong, with what, and what to do. It has no secret in it, and
 * control characters that a server sent are escaped. Never NULL, but for an error that is NULL. */
const char *files_session_error_message(const files_session_error *error);
/* The status that came with this error. */
files_session_status files_session_error_status(const files_session_error *error);
/* The HTTP status of the answer, or 0 where there was none. */
int files_session_error_http_status(const files_session_error *error);

/*
 * What a site said that refused, as it said it; NULL where it did not. Control characters in it
 * are not escaped.
 */

/* The type, "group/name". */
const char *files_session_error_type(const files_session_error *error);
/* A short text for people. */
const char *files_session_error_title(const files_session_error *error);
/* The request's id, for a support request. */
const char *files_session_error_request_id(const files_session_error *error);
/* How many seconds to wait before the next try, or -1. */
int64_t files_session_error_retry_after(const files_session_error *error);
/* What ties the second request of a two-factor login to the first. A secret. */
const char *files_session_error_partial_session_id(const files_session_error *error);
/* The two-factor methods offered, from 0 on: "totp", "sms", "yubi", ...; NULL past the end. */
const char *files_session_error_method(const files_session_error *error, size_t i);
/* The host at which this user logs in. */
const char *files_session_error_host(const files_session_error *error);
/* The JSON text of the refusal's `data`. There may be secrets in it. */
const char *files_session_error_data(const files_session_error *error);

/* Frees an error. */
void files_session_error_free(files_session_error *error);

#ifdef __cplusplus
}
#endif

#endif
