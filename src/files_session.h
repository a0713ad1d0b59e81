/*
 * files_session.h - log in to Files.com and log out again
 *
 * A blocking client for two calls of the Files.com REST API. A user name and a password, perhaps
 * with a second factor, become a session. The session's id authenticates all other requests to the
 * API, with any HTTP client.
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
 *     printf("logged in at %s\n", files_session_base_url(session));
 *     files_session_logout(session, NULL);
 *     files_session_free(session);
 *
 * Rules for every function:
 *
 * - Strings that you pass are UTF-8 and end with a NUL. They are read during the call only. The
 *   library keeps no copy of the login's password.
 * - Strings that you get are UTF-8 and end with a NUL. They belong to the session or the error, and
 *   are valid until you free it. A NUL inside a JSON string becomes U+2400, the symbol for NUL, so
 *   no string is truncated.
 * - You own each session, error and canceller, and free it once, with its own function.
 * - NULL is allowed for any pointer. A call that needs the pointer returns
 *   FILES_SESSION_INVALID_INPUT, a getter returns its value for 'absent', a free does nothing.
 *
 * The last section answers an embedder's questions: threads, fork, signals, the environment, stack,
 * heap, descriptors, the ABI. This prints declarations that LuaJIT, PHP and cffi read unchanged:
 *
 *     grep -v '^#include' files_session.h | cc -E -P -
 */

#ifndef FILES_SESSION_H
#define FILES_SESSION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Stands before each declaration. Define it before you include this file if your compiler needs an
 * attribute there, such as __declspec(dllimport). */
#ifndef FILES_SESSION_API
#define FILES_SESSION_API
#endif

/* ---- Version -----------------------------------------------------------------------------------*/

/** The version of this header. */
#define FILES_SESSION_VERSION_STRING "0.4.0"
#define FILES_SESSION_VERSION_MAJOR 0
#define FILES_SESSION_VERSION_MINOR 4
#define FILES_SESSION_VERSION_PATCH 0
/** For comparisons in #if: two hexadecimal digits each for major, minor and patch. */
#define FILES_SESSION_VERSION_NUMBER 0x000400

/** The version of the library that is linked, such as "0.4.0". Never NULL, never freed. */
FILES_SESSION_API const char *files_session_version(void);

/* ---- Types and statuses ------------------------------------------------------------------------*/

/** The session of a logged-in user. */
typedef struct files_session files_session;

/** Why a call failed. */
typedef struct files_session_error files_session_error;

/** Ends calls from another thread. */
typedef struct files_session_canceller files_session_canceller;

/**
 * The result of a call. The numbers never change. Later versions may add some: treat an unknown one
 * as a failure.
 *
 * files_session_error_is_transient tells whether a failure is worth another try, and
 * files_session_error_outcome_unknown whether the site may have carried out the request.
 *
 * A refusal has a type, "group/name". If that is missing or unknown, the HTTP status decides. A 4xx
 * or 5xx whose body is neither empty nor a JSON object comes from another server, and is
 * UNEXPECTED_RESPONSE. So is an empty 404 or 405. A 429, a 503, and a 4xx or 5xx with the header
 * X-Files-Error-Class are always refusals.
 */
typedef int32_t files_session_status;
enum {
    /** The call succeeded. */
    FILES_SESSION_OK = 0,

    /** An argument, option or proxy variable can't be used. The failed attempt sent nothing. */
    FILES_SESSION_INVALID_INPUT = 1,
    /** No connection could be made: the name is unknown, the port is closed, the proxy refused. The
     * failed attempt sent nothing. */
    FILES_SESSION_CONNECT = 2,
    /** The server could not be authenticated: its certificate was rejected, or the TLS handshake
     * failed. The failed attempt sent nothing. With TLS 1.3, a missing client certificate shows
     * only after the request, as FILES_SESSION_TRANSPORT. */
    FILES_SESSION_TLS = 3,
    /** A time limit expired. The message names it. */
    FILES_SESSION_TIMEOUT = 4,
    /** The connection broke after it was made, or the response is not valid HTTP, or its header or
     * framing is too large. */
    FILES_SESSION_TRANSPORT = 5,
    /** The response is not a valid Files.com API response: a redirect, another server's page, or a
     * success without a session. */
    FILES_SESSION_UNEXPECTED_RESPONSE = 6,
    /** A canceller ended the call. */
    FILES_SESSION_CANCELLED = 7,

    /** The site rejected the request. Group bad-request, or any other 4xx. */
    FILES_SESSION_BAD_REQUEST = 10,
    /** The site requires authentication. Group not-authenticated, authentication-required in any
     * group, or 401. */
    FILES_SESSION_NOT_AUTHENTICATED = 11,
    /** The user may not do this. Group not-authorized, or 403. */
    FILES_SESSION_NOT_AUTHORIZED = 12,
    /** The site doesn't exist. Group not-found, or 404. */
    FILES_SESSION_NOT_FOUND = 13,
    /** The site could not process the request. Group processing-failure, or 422. */
    FILES_SESSION_PROCESSING_FAILURE = 14,
    /** There were too many requests. Group rate-limited, or 429. */
    FILES_SESSION_RATE_LIMITED = 15,
    /** The site is unavailable for now. Group service-unavailable, or 5xx. */
    FILES_SESSION_SERVICE_UNAVAILABLE = 16,
    /** The site is disabled, its account is overdue or removed, or its trial has ended. Group
     * site-configuration, or site-disabled in any group. */
    FILES_SESSION_SITE_CONFIGURATION = 17,

    /** The login needs a second factor: see files_session_answer. The site may have named neither
     * methods nor a partial session id. */
    FILES_SESSION_TWO_FACTOR_REQUIRED = 20,
    /** The user name or the password is wrong. */
    FILES_SESSION_INVALID_CREDENTIALS = 21,
    /** The code of the second factor is wrong or expired: see files_session_answer. */
    FILES_SESSION_OTP_INCORRECT = 22,
    /** The user is locked out. */
    FILES_SESSION_LOCKED_OUT = 23,
    /** The user or site belongs to another region: log in at files_session_error_host. */
    FILES_SESSION_REGION_MISMATCH = 24,
    /** The session has ended or never existed. */
    FILES_SESSION_INVALID_SESSION = 25,

    /** An internal error in files-session: please report it. The session, if there is one, can only
     * be freed. */
    FILES_SESSION_PANIC = 99
};

/** A few words for a status, such as "wrong user name or password", or "unknown status". Never
 * NULL, never freed. */
FILES_SESSION_API const char *files_session_status_text(files_session_status status);

/* ---- Options -----------------------------------------------------------------------------------*/

/**
 * Where to log in, as whom, and how. Zero is the default of every member but `size`, so any
 * language may zero the struct and set the size. It has no padding on 32-bit and 64-bit targets.
 * An empty string is not the same as NULL.
 *
 * Later versions may add members at the end. `size` shows which ones your program knows. The
 * library accepts the size of its own version, that of an earlier version with the same SONAME, and
 * a larger one up to 4096 if the excess bytes are zero. Any other size is
 * FILES_SESSION_INVALID_INPUT.
 */
typedef struct files_session_options {
    /** sizeof(files_session_options) in your program. */
    size_t size;
    /** The site's origin, such as "https://mysite.files.com". An address without a scheme means
     * https. NULL: https://app.files.com. */
    const char *base_url;
    /** Required for a login. */
    const char *username;
    /** Required for a login, unless partial_session_id is set. A login whose JSON text exceeds
     * 64 KiB is FILES_SESSION_INVALID_INPUT. */
    const char *password;
    /** A second-factor code that is known in advance. NULL: none. */
    const char *otp;
    /** The id of a login that waits for its second factor. NULL: none. */
    const char *partial_session_id;
    /** The language of the site's messages, as in Accept-Language: "de". At most 256 bytes. NULL:
     * the site chooses. */
    const char *language;
    /** The whole value of User-Agent. A site may bind a session to it, so send the same one with
     * other requests. At most 4 KiB. NULL: "files-session/0.4.0". */
    const char *user_agent;
    /** Certificates to trust instead of the default ones, as PEM text (not a file name), for a
     * private certificate authority. Text around the blocks and blocks of other kinds are skipped,
     * but a private key is FILES_SESSION_INVALID_INPUT. "system": the system's roots (feature
     * platform-verifier, or native-tls without rustls). NULL: the built-in roots, or the system's
     * with native-tls alone. */
    const char *ca_pem;
    /** A proxy, such as "http://user:password@proxy.example:3128". "": none. NULL: the
     * environment's. */
    const char *proxy;
    /** Ends calls from another thread. NULL: none. */
    files_session_canceller *canceller;
    /** Time limit for a whole call in milliseconds, including retries and waits. 0: 60000. */
    uint32_t timeout_ms;
    /** Time limit for making one connection in milliseconds: TCP, proxy, TLS. The lookup of a name
     * is limited only by timeout_ms. 0: 10000. */
    uint32_t connect_timeout_ms;
    /** Maximum number of retries. 0: 3. Negative: none. A login is retried only if no connection
     * could be made. */
    int32_t retries;
    /** Any value but 0 allows plain http to any host: password and session id are then sent
     * unencrypted. 0 allows it to loopback hosts only (localhost, 127.0.0.0/8, [::1]). */
    uint32_t allow_http;
} files_session_options;

/** The defaults. */
#define FILES_SESSION_OPTIONS_INIT                                                               \
    { sizeof(files_session_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
      0, 0, 0, 0 }

/** Sets the defaults where the macro can't be used: files_session_options_init(options, sizeof
 * *options). It zeroes exactly `size` bytes and sets options->size to `size`. It does nothing if
 * `options` is NULL or `size` is smaller than a size_t. */
FILES_SESSION_API void files_session_options_init(files_session_options *options, size_t size);

/* ---- Calls -------------------------------------------------------------------------------------
 *
 * A call that makes a session sets *session to it if it returns FILES_SESSION_OK, and to NULL
 * otherwise. A call sets *error to NULL if it returns FILES_SESSION_OK, and to a new error
 * otherwise. `error` may be NULL if you don't need it.
 *
 * The old values of *session and *error are overwritten and not freed. The one exception is
 * described at files_session_answer.
 */

/** Logs in. The request is sent once, and after a region mismatch once more. It is retried only if
 * no connection could be made. */
FILES_SESSION_API files_session_status files_session_login(const files_session_options *options,
                                                           files_session **session,
                                                           files_session_error **error);

/**
 * Answers a login that failed with FILES_SESSION_TWO_FACTOR_REQUIRED, or with
 * FILES_SESSION_OTP_INCORRECT because of options->otp: sends the login again, with the code.
 *
 *     files_session_status status = files_session_login(&options, &session, &error);
 *     while (status == FILES_SESSION_TWO_FACTOR_REQUIRED || status == FILES_SESSION_OTP_INCORRECT)
 *         status = files_session_answer(&options, error, ask(), &session, &error);
 *
 * `challenge` is the error of that login, `code` is what the user typed. White space in it is
 * removed; a device's JSON object is only trimmed. The options are those of that login, including
 * the password; otp and partial_session_id are replaced.
 *
 * If *error is the challenge, as above, the call reads it, replaces it and frees it. Otherwise the
 * challenge stays yours. For this comparison, *error must be initialised, to NULL or to an error.
 * If the call fails and the new error is not itself a challenge, it carries a copy of `challenge`,
 * so you can answer again.
 *
 * The answer is sent to the host that asked, even if that host is in another region and is not
 * base_url. It contains the partial session id instead of the password if the code comes from a
 * device: a Yubikey code if "yubi" is offered (32 to 48 letters of cbdefghijklnrtuv, or any code if
 * nothing else is offered), or the JSON object that a device returned if "u2f" or "webauthn" is
 * offered. Any other code is sent with user name and password.
 */
FILES_SESSION_API files_session_status files_session_answer(const files_session_options *options,
                                                            const files_session_error *challenge,
                                                            const char *code,
                                                            files_session **session,
                                                            files_session_error **error);

/**
 * Makes a session from an id that you saved. Set options->base_url to the files_session_base_url
 * that you saved with it. The id is a secret: save it in a file with mode 0600. Sends nothing; the
 * other attributes are absent. username, password, otp and partial_session_id are ignored. Returns
 * FILES_SESSION_INVALID_INPUT if the id is longer than 4 KiB or not a valid header value, or if the
 * options would make every call fail.
 *
 * GET {base_url}/api/rest/v1/site with FILES_SESSION_AUTH_HEADER shows whether the session is still
 * valid.
 */
FILES_SESSION_API files_session_status files_session_resume(const files_session_options *options,
                                                            const char *id,
                                                            files_session **session,
                                                            files_session_error **error);

/** Logs out, with the options of the login. It is retried if no connection could be made, if the
 * response is broken or missing, and after 429 and any 5xx (except site-disabled). You may repeat
 * it after an error. The session keeps its attributes, and you must still free it. */
FILES_SESSION_API files_session_status files_session_logout(const files_session *session,
                                                            files_session_error **error);

/** Frees a session and closes its connection. It does not log out. */
FILES_SESSION_API void files_session_free(files_session *session);

/* ---- Canceller ---------------------------------------------------------------------------------*/

/** A new canceller, which any number of options may share. With it, a service can stop without
 * waiting for a timeout. */
FILES_SESSION_API files_session_canceller *files_session_canceller_new(void);

/**
 * Ends all running calls whose options have this canceller, and the logouts of their sessions, with
 * FILES_SESSION_CANCELLED. All later ones fail the same way, and a canceller is never reset: to log
 * out anyway, resume the session without a canceller. A call that has already succeeded returns its
 * result.
 *
 * Call it from any thread, but not from a signal handler. It doesn't wait for the calls to end.
 * Lookups, waits, TLS, reads and writes end at once; a TCP connect in progress may last until the
 * limit for connecting.
 */
FILES_SESSION_API void files_session_cancel(files_session_canceller *canceller);

/** Frees a canceller, at any time: running calls and sessions keep their own reference. Use this
 * pointer in no call that starts meanwhile or afterwards, files_session_cancel included. */
FILES_SESSION_API void files_session_canceller_free(files_session_canceller *canceller);

/* ---- Attributes of a session -------------------------------------------------------------------*/

/** The header that authenticates other API requests. Its value is the session's id. Send it only to
 * files_session_base_url, and don't follow redirects with it. */
#define FILES_SESSION_AUTH_HEADER "X-FilesAPI-Auth"

/* Text: NULL if absent. */

/** The session's id. A secret: anyone who has it is logged in. Never absent. */
FILES_SESSION_API const char *files_session_id(const files_session *session);
/** The origin where the session lives, such as "https://app-eu.files.com". After a login that moved
 * to another region it differs from the option base_url. Save it beside the id, and send other
 * requests there. Never absent. */
FILES_SESSION_API const char *files_session_base_url(const files_session *session);
/** The language of the session. */
FILES_SESSION_API const char *files_session_language(const files_session *session);
/** A token for logging in with a browser, at login_token_domain. A secret. */
FILES_SESSION_API const char *files_session_login_token(const files_session *session);
/** The address where login_token is valid. */
FILES_SESSION_API const char *files_session_login_token_domain(const files_session *session);
/** The session's start folder. On newer servers, the folder to which the session is restricted; the
 * start folder is then home_path. */
FILES_SESSION_API const char *files_session_root_path(const files_session *session);
/** When the session expires: an RFC 3339 time with an offset. */
FILES_SESSION_API const char *files_session_timeout_at(const files_session *session);
/** The folder in which the user starts. */
FILES_SESSION_API const char *files_session_home_path(const files_session *session);

/* Yes or no: 1 or 0, or -1 if absent. Compare with `== 1`, because -1 is true in C. */

/** Whether the user can access several regions. */
FILES_SESSION_API int files_session_multiple_regions(const files_session *session);
/** Whether the session is read-only. */
FILES_SESSION_API int files_session_read_only(const files_session *session);
/** Whether the site's administrator allows insecure SFTP ciphers for this user. */
FILES_SESSION_API int files_session_sftp_insecure_ciphers(const files_session *session);
/** Whether the user must use TLS for everything. */
FILES_SESSION_API int files_session_ssl_required(const files_session *session);
/** Whether the site's administrator allows insecure TLS versions for this user. */
FILES_SESSION_API int files_session_tls_disabled(const files_session *session);
/** Whether the user must add a two-factor method before the API allows anything else. The login
 * itself worked. */
FILES_SESSION_API int files_session_two_factor_setup_needed(const files_session *session);
/** Whether the method to add may be SMS. This and the next four are sent only if one is needed. */
FILES_SESSION_API int files_session_allowed_2fa_method_sms(const files_session *session);
/** Whether the method to add may be TOTP. */
FILES_SESSION_API int files_session_allowed_2fa_method_totp(const files_session *session);
/** Whether the method to add may be U2F. */
FILES_SESSION_API int files_session_allowed_2fa_method_u2f(const files_session *session);
/** Whether the method to add may be a Yubikey. */
FILES_SESSION_API int files_session_allowed_2fa_method_yubi(const files_session *session);
/** Whether the method to add may be WebAuthn. Newer servers send it in place of U2F. */
FILES_SESSION_API int files_session_allowed_2fa_method_webauthn(const files_session *session);
/** Whether the user may set the modification times of files and folders. */
FILES_SESSION_API int files_session_use_provided_modified_at(const files_session *session);
/** Whether the user wants Windows line endings emulated. */
FILES_SESSION_API int files_session_windows_mode_ftp(const files_session *session);

/* Numbers: each returns 1 and sets *out, or returns 0 if absent and leaves *out unchanged. */

/** The maximum number of files in one page of a folder listing. It depends on the site's plan. */
FILES_SESSION_API int files_session_max_dir_listing_size(const files_session *session,
                                                         int64_t *out);
/** The id of the site. */
FILES_SESSION_API int files_session_site_id(const files_session *session, int64_t *out);

/* ---- Facts of an error -------------------------------------------------------------------------*/

/** One sentence for people: what failed, the cause in parentheses, and often what to do. The
 * library puts no secret into it. Words of the site, the system and the TLS library are truncated,
 * with control characters escaped. Never absent. */
FILES_SESSION_API const char *files_session_error_message(const files_session_error *error);
/** The status that was returned with this error. FILES_SESSION_OK if `error` is NULL. */
FILES_SESSION_API files_session_status files_session_error_status(const files_session_error *error);
/** 1 if the site may have carried out the request although the call failed, otherwise 0. After a
 * login, a session whose id was lost may then stay open until it expires, and a code may be used
 * up. It covers all attempts of a call; a 429 or 5xx proves nothing, except site-disabled. */
FILES_SESSION_API int files_session_error_outcome_unknown(const files_session_error *error);
/** 1 if the same call may succeed later without any change, otherwise 0. It says nothing about
 * whether repeating is harmless. */
FILES_SESSION_API int files_session_error_is_transient(const files_session_error *error);
/** The HTTP status of the response, or 0 if there was no usable response. */
FILES_SESSION_API int files_session_error_http_status(const files_session_error *error);
/** The target of a redirect, without user info, query and fragment. NULL if the response is not a
 * redirect, or names no target. */
FILES_SESSION_API const char *files_session_error_location(const files_session_error *error);

/* What the site's refusal contains: control characters are not escaped. NULL, or -1, if absent. */

/** The type, "group/name". */
FILES_SESSION_API const char *files_session_error_type(const files_session_error *error);
/** A short text for people. */
FILES_SESSION_API const char *files_session_error_title(const files_session_error *error);
/** The message for people, in the language that you asked for if the site has it. */
FILES_SESSION_API const char *files_session_error_site_message(const files_session_error *error);
/** The id of the request, to quote to support. */
FILES_SESSION_API const char *files_session_error_request_id(const files_session_error *error);
/** How many seconds to wait before the next attempt. */
FILES_SESSION_API int64_t files_session_error_retry_after(const files_session_error *error);
/** The id that ties the second request of a two-factor login to the first. A secret. */
FILES_SESSION_API const char *
files_session_error_partial_session_id(const files_session_error *error);
/** The two-factor methods that are offered, from index 0: "totp", "sms", "yubi", ... NULL past the
 * end. */
FILES_SESSION_API const char *files_session_error_method(const files_session_error *error,
                                                         size_t i);
/** The host where this user logs in. */
FILES_SESSION_API const char *files_session_error_host(const files_session_error *error);
/** The JSON text of the refusal's `data`, written anew with its members in alphabetical order. It
 * may contain secrets. */
FILES_SESSION_API const char *files_session_error_data(const files_session_error *error);

/** Frees an error. */
FILES_SESSION_API void files_session_error_free(files_session_error *error);

/* ---- Process-wide behaviour --------------------------------------------------------------------
 *
 * Threads. Different threads may use different objects at the same time. Several threads may share
 * an object: getters, files_session_logout and files_session_cancel may run at the same time, and
 * calls may read the same options. Free an object when no other thread uses it (a canceller may
 * have running calls); any thread may do so. A language with a global lock should release it around
 * a call: otherwise no other thread can cancel the call. gcc's ThreadSanitizer reports false races
 * in code that it didn't compile; silence it with the suppression
 * called_from_lib:libfiles_session.so.
 *
 * Ending a call. Only a canceller or a time limit ends a call early. A signal handler that
 * returns does not. exit() during a call is safe. pthread_cancel during a call is not supported.
 *
 * fork. Use a session in only one of the two processes. The other process may only free its copy,
 * because two logouts over one connection break each other. A single-threaded child may also make
 * new sessions. In the child of a multithreaded process, POSIX allows only async-signal-safe
 * functions before exec, so none of this library's.
 *
 * Signals. The library installs no handler, changes no mask and raises no signal. Writing to a
 * connection that the peer has closed raises no SIGPIPE. A signal handler must neither call a
 * function of the library nor jump out of one.
 *
 * Output. The library prints nothing, logs nothing and never ends the process, with two exceptions.
 * If memory runs out, Rust prints a line to stderr and aborts the process; no error is returned. On
 * an internal error (a Rust panic), Rust prints its message and the source location to stderr; the
 * call returns FILES_SESSION_PANIC with the message, a getter returns its value for 'absent'. If
 * the library was built with panic = "abort", a panic aborts the process. errno is undefined after
 * a call.
 *
 * Environment. The proxy is read when a call makes a connection, and in files_session_resume:
 * https_proxy or HTTPS_PROXY for https, http_proxy for http (never HTTP_PROXY, which a web server
 * sets from a request header), otherwise all_proxy or ALL_PROXY; exceptions are read from no_proxy
 * or NO_PROXY. On Windows, names are case-insensitive: HTTP_PROXY is http_proxy there. Loopback
 * hosts never use the environment's proxy. If the option proxy is set, the variables are read and
 * ignored. A setuid program should set the option proxy to "", because its caller controls these
 * variables. During a lookup, the C library reads its own variables, such as RES_OPTIONS and
 * LOCALDOMAIN. Rust reads RUST_BACKTRACE after an internal error. With ca_pem "system", or
 * native-tls, SSL_CERT_FILE and SSL_CERT_DIR are read when a connection is made. If another thread
 * calls setenv or putenv meanwhile, that is a data race in the C library.
 *
 * Sandbox. Allow sockets, setting their options and connecting; threads, for lookups; what
 * getaddrinfo needs; random numbers (getrandom); the clocks; memory.
 *
 * Stack. 128 KiB is enough for any function, even with the longest certificate chain that is
 * accepted, and with any chain that is rejected.
 *
 * Lookup threads. The library starts one thread for each lookup of a name, and none for localhost
 * or an IP address. The thread has a stack of 256 KiB and inherits the caller's signal mask: block
 * signals before the call if it must not receive them. It ends with the lookup. That may be after
 * the call if the lookup exceeded its time limit or the call was cancelled.
 *
 * Heap. On 64-bit Linux, with the built-in roots, an open session holds at most 36 KB over http.
 * Over https it holds at most 100 KB. In C, each session adds its own TLS configuration: about 40
 * KB plus about the size of ca_pem. Certificate chains larger than 4 KB and tickets that a server
 * sends add their size. After the logout, a session holds nothing of its connection.
 *
 * Descriptors. An open session holds one, its connection. Looking up a name needs one or two more
 * for a short time. All are close-on-exec.
 *
 * dlclose. Avoid it: a lookup may still be running in the library's code, and threads that called
 * the library have destructors there. If a plug-in must be unloaded, load or link the library with
 * RTLD_NODELETE or -Wl,-z,nodelete.
 *
 * ABI. The numbers of the statuses never change, nor does the rule that zero is the default of
 * every option. The SONAME contains the part of the version that must match: major and minor
 * while the major version is 0 (libfiles_session.so.0.4), only the major version after that. Within
 * one SONAME, functions keep their signatures and options keep their places. Later versions may add
 * functions, statuses, and options at the end: a program runs unchanged with a later library,
 * and with an earlier one if it uses only what that one has. For another SONAME, compile the
 * program again.
 */

#ifdef __cplusplus
}
#endif

#endif
