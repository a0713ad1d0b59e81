/*
 * files_session.h - log in to Files.com, and out again
 *
 * A blocking client for two calls of the Files.com REST API. A user name and a password, perhaps
 * with a second factor, become a session. The session's id authenticates every other request to
 * the API, in the header X-FilesAPI-Auth.
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
 * The sections of this file: rules for every function, the process around it, version, types and
 * statuses, options, calls, attributes of a session, facts of an error.
 */

#ifndef FILES_SESSION_H
#define FILES_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Rules for every function ------------------------------------------------------------------
 *
 * Strings that go in are UTF-8 and end with a NUL. The library reads them during the call only, and
 * keeps no pointer to them and no copy of a password.
 *
 * Strings that come out are UTF-8 and end with a NUL. They belong to the session or the error that
 * you asked, and are good until you free that. JSON allows a NUL inside a string; it comes out as
 * U+2400, the symbol for NUL, so nothing is cut off.
 *
 * A session and an error have one owner, the caller, who frees each once with its own function. A
 * call overwrites *session and *error without a look at what is there: free that first.
 *
 * NULL may be given for any pointer. A call that needs the pointer returns
 * FILES_SESSION_INVALID_INPUT. A getter returns what it returns for 'absent'. A free does nothing.
 *
 * 'Absent' is NULL for a text, -1 for a yes or no and for a number of seconds, and false for a
 * number that has an `out`.
 *
 * The library prints nothing, logs nothing, and never ends the process, with the two exceptions
 * under 'Faults' below. errno means nothing after a call.
 */

/* ---- The process around it ---------------------------------------------------------------------
 *
 * Threads. Different threads may use different sessions and errors at the same time. They may also
 * use the same one: its getters, and files_session_logout. Free it when no other thread uses it.
 * A session may be used and freed in another thread than the one that got it.
 *
 * fork. A session and its open connection belong to one of the two processes. The other one may
 * free its copy, and nothing else: two logouts over one connection break each other. New sessions
 * may be made in both. In the child of a process with several threads POSIX allows next to nothing
 * before exec, and none of these functions.
 *
 * Cancellation. A thread that is cancelled (pthread_cancel) during a call or a free is cancelled
 * after it, at its next cancellation point; the call completes first, so have a cleanup handler
 * that frees what it returns. The thread's cancelability is restored at the end of the call. Do not
 * call with PTHREAD_CANCEL_ASYNCHRONOUS.
 *
 * longjmp and exceptions. The library calls nothing of yours, so only a signal handler could jump
 * out of a call. It must not.
 *
 * Signals. The library installs no handler, changes no mask and raises no signal; writing to a
 * connection that the other side has closed raises no SIGPIPE. A handler that returns does not end
 * a call. No function may be called from a signal handler.
 *
 * Environment. files_session_login, _answer and _resume read the proxy at their beginning:
 * https_proxy or HTTPS_PROXY for https, http_proxy for http (never HTTP_PROXY), else all_proxy or
 * ALL_PROXY, and the exceptions in no_proxy or NO_PROXY. The C library reads its own variables for
 * a name look-up, such as RES_OPTIONS and LOCALDOMAIN. Rust's runtime reads RUST_MIN_STACK when it
 * starts a thread, and RUST_BACKTRACE after a fault. A library that was built to trust the system's
 * certificates also reads SSL_CERT_FILE and SSL_CERT_DIR. If another thread calls setenv or putenv
 * at that moment, that is a data race in the C library.
 *
 * Stack. 64 KiB is enough for any function.
 *
 * Heap. On 64-bit Linux an open session holds at most 130 KB over https, and 40 KB over http. After
 * the logout it holds nothing of its connection.
 *
 * Descriptors. An open session holds one, its connection. A name look-up needs one or two more for
 * as long as it takes. All are close-on-exec.
 *
 * Threads of its own. The library starts one thread for each name look-up, and none for a base_url
 * (or proxy) that is an IP address. The thread ends with the look-up. That is after the call only
 * if the call ran out of time. The thread inherits the signal mask of the caller: block signals
 * before the call if it is not to receive them.
 *
 * dlclose. Avoid it: a look-up may still be running in the library's code, and threads that called
 * it have destructors there. Where a plug-in must be unloaded, load or link the library with
 * RTLD_NODELETE or -Wl,-z,nodelete.
 *
 * Faults. If memory runs out, Rust says so on stderr and aborts the process; no error comes back.
 * If the library fails on a fault of its own (a Rust panic), Rust's runtime says so on stderr, and
 * the call returns FILES_SESSION_PANIC; a getter returns what it returns for 'absent'.
 */

/* ---- Version -----------------------------------------------------------------------------------*/

/* The version of this header. */
#define FILES_SESSION_VERSION_MAJOR 0
#define FILES_SESSION_VERSION_MINOR 2
#define FILES_SESSION_VERSION_PATCH 0
#define FILES_SESSION_VERSION "0.2.0"

/* The version of the library that is linked, such as "0.2.0". Never NULL, never freed. */
const char *files_session_version(void);

/* ---- Types and statuses ------------------------------------------------------------------------*/

/* A user who is logged in. Free it with files_session_free; that does not log out. */
typedef struct files_session files_session;

/* Why a call failed. Free it with files_session_error_free. */
typedef struct files_session_error files_session_error;

/*
 * The result of a call. The numbers never change. Later versions may add some: treat an unknown one
 * as a failure.
 */
typedef int32_t files_session_status;
enum {
    /* It worked. */
    FILES_SESSION_OK = 0,

    /* An argument or an option is unusable. Nothing was sent. */
    FILES_SESSION_INVALID_INPUT = 1,
    /* No connection: the name is not known, the port is closed, the proxy refused. Nothing of the
     * request was sent. */
    FILES_SESSION_CONNECT = 2,
    /* No trusted connection: the certificate or the handshake failed. Nothing of the request was
     * sent. */
    FILES_SESSION_TLS = 3,
    /* A time limit ran out. */
    FILES_SESSION_TIMEOUT = 4,
    /* The connection broke after it was made, or what came back is not HTTP, or its header is too
     * large. */
    FILES_SESSION_TRANSPORT = 5,
    /* A response, but not one of the Files.com API: a redirect, a page of some other server. */
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

    /* A fault of this library, which it caught. The session, if there was one, can only be freed. */
    FILES_SESSION_PANIC = 99
};

/* A few words for a status, such as "wrong user name or password"; "unknown status" for one that
 * this library does not know. Never NULL, never freed. */
const char *files_session_status_text(files_session_status status);

/* ---- Options -----------------------------------------------------------------------------------*/

/*
 * Where to log in, who, and how. Zero is the default of every member but `size`, so any language
 * may zero the struct and set the size.
 *
 * Later versions may add members at the end. `size` tells the library which of them your program
 * knows. A larger size than the library's own is fine if all that is behind the members that it
 * knows is zero (4096 at most). Any other size is FILES_SESSION_INVALID_INPUT.
 *
 * The struct has no padding, on 32 and on 64 bit.
 */
typedef struct files_session_options {
    /* sizeof(files_session_options), as your program was compiled. */
    size_t size;
    /* An origin such as "https://mysite.files.com". NULL: https://app.files.com. An address without
     * a scheme means https. */
    const char *base_url;
    /* Needed for a login. */
    const char *username;
    /* Needed for a login, unless partial_session_id is given. */
    const char *password;
    /* The code of a second factor that is known beforehand. NULL: none. */
    const char *otp;
    /* The id of a login that was begun before. NULL: none. */
    const char *partial_session_id;
    /* The language of the site's messages, as in Accept-Language: "de". NULL: the site chooses. */
    const char *language;
    /* Certificates in PEM to trust in place of the built-in ones, for a private CA. The text, not
     * the name of a file. NULL: the built-in ones. */
    const char *ca_pem;
    /* A proxy such as "http://user:password@proxy.example:3128". "": none. NULL: the one of the
     * environment, if there is one. */
    const char *proxy;
    /* The time limit of a call in milliseconds, retries and waits included. 0: 60000. */
    uint32_t timeout_ms;
    /* The time limit for making one connection, in milliseconds, within timeout_ms. 0: 10000. */
    uint32_t connect_timeout_ms;
    /* How often a call is tried again at most. 0: 3 times. Negative: never. A login is only tried
     * again where the site surely did not carry out the first try. */
    int32_t retries;
    /* 1 allows plain http to any host: anyone on the way can then read the password. 0 allows it to
     * this machine only (localhost, 127.0.0.0/8, [::1]). */
    uint32_t allow_http;
} files_session_options;

/* The defaults. */
#define FILES_SESSION_OPTIONS_INIT \
    { sizeof(files_session_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0 }

/*
 * Sets the defaults where the macro can't go, such as in memory from malloc:
 *
 *     files_session_options_init(options, sizeof *options);
 *
 * It zeroes exactly `size` bytes and sets options->size to `size`, whether or not that is the size
 * that this library knows. It does nothing if `options` is NULL, or if `size` is smaller than a
 * size_t.
 */
void files_session_options_init(files_session_options *options, size_t size);

/* ---- Calls -------------------------------------------------------------------------------------
 *
 * On FILES_SESSION_OK, a call that takes `session` sets *session to a new session, which you free.
 * Otherwise it sets *session to NULL. `session` must not be NULL.
 *
 * On any other status, a call sets *error to a new error, which you free. Otherwise it sets *error
 * to NULL. `error` may be NULL if you don't want it.
 */

/* Logs in: one request. */
files_session_status files_session_login(const files_session_options *options,
                                         files_session **session, files_session_error **error);

/*
 * Answers a login that was refused with FILES_SESSION_TWO_FACTOR_REQUIRED: logs in again, with the
 * code. `asked` is the error of that login, and stays yours. `code` is what the user typed. The
 * options are those of that login, the password included. `error` must not point to the variable
 * that holds `asked`, which would be lost.
 *
 * The answer goes to the host that asked, whatever base_url says. If files_session_error_method
 * offers "yubi", and the code looks like a Yubikey's or nothing else is offered, it goes with the
 * partial session id and needs no password. Any other code goes with user name and password.
 */
files_session_status files_session_answer(const files_session_options *options,
                                          const files_session_error *asked, const char *code,
                                          files_session **session, files_session_error **error);

/*
 * Makes a session of an id that you saved, with the base_url that you saved beside it
 * (files_session_base_url). Sends nothing; all other attributes are absent. User name, password,
 * otp and partial_session_id are not looked at. An id that is not a valid header value, or a site
 * that no call could use, is FILES_SESSION_INVALID_INPUT.
 */
files_session_status files_session_resume(const files_session_options *options, const char *id,
                                          files_session **session, files_session_error **error);

/*
 * Logs out, and tries again where no response came or the server failed. The options of the login
 * hold for it, too. After an error you may call it again. The session keeps its attributes, and
 * you still free it.
 */
files_session_status files_session_logout(const files_session *session,
                                          files_session_error **error);

/* Frees a session, and closes its connection. It does not log out. */
void files_session_free(files_session *session);

/* ---- Attributes of a session -------------------------------------------------------------------*/

/*
 * Text: NULL where absent.
 */

/* The session's id. A secret. Always there. */
const char *files_session_id(const files_session *session);
/* The origin where the session lives, such as "https://app-eu.files.com": save it beside the id,
 * and send other requests there. A login that the site sends to another region is not where
 * base_url said. Always there. */
const char *files_session_base_url(const files_session *session);
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
 * Yes or no: 1 or 0; -1 where absent.
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
 * Numbers: true, and the number in *out; false where absent, and *out stays as it was. If `out` is
 * NULL, the result only says whether the number is there.
 */

/* The most files that one page of a folder's listing can have. */
bool files_session_max_dir_listing_size(const files_session *session, int64_t *out);
/* The id of the site. */
bool files_session_site_id(const files_session *session, int64_t *out);

/* ---- Facts of an error -------------------------------------------------------------------------*/

/* One sentence for people: what was wrong, with what, and what to do. It has no secret in it, and
 * control characters that a server sent are escaped. Always there. */
const char *files_session_error_message(const files_session_error *error);
/* The status that came with this error. FILES_SESSION_OK if `error` is NULL. */
files_session_status files_session_error_status(const files_session_error *error);
/* The HTTP status of the response; 0 where there was none. */
int files_session_error_http_status(const files_session_error *error);
/* Where a redirect pointed, without query and fragment; NULL where it was not a redirect. */
const char *files_session_error_location(const files_session_error *error);

/*
 * What the site said when it refused, as it said it: control characters are not escaped. NULL, or
 * -1, where absent.
 */

/* The type, "group/name". */
const char *files_session_error_type(const files_session_error *error);
/* A short text for people. */
const char *files_session_error_title(const files_session_error *error);
/* The message for people, in the language that you asked for if the site has it. */
const char *files_session_error_site_message(const files_session_error *error);
/* The request's id, for a support request. */
const char *files_session_error_request_id(const files_session_error *error);
/* How many seconds to wait before the next try. */
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
