/*
 * Calls on stacks of 128 KiB:
 *
 *     call NAME=VALUE...
 *
 * The names are those of the options. username and password have these words as their defaults.
 * The program logs in and out, and prints the status, and the session's base_url or the error's
 * message. With threads=N, N threads do so at the same time. Then all log out a session that they
 * share, and print the status and the session's id.
 */

#include "files_session.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static files_session_options options = FILES_SESSION_OPTIONS_INIT;
static uint32_t threads = 1;
static files_session *shared;

/* Sets an option. Returns whether there is one of this name. */
static bool set(const char *name, const char *value)
{
    static const struct {
        const char *name, **text;
        uint32_t *number;
    } known[] = {
        {"base_url", &options.base_url, NULL},
        {"username", &options.username, NULL},
        {"password", &options.password, NULL},
        {"otp", &options.otp, NULL},
        {"partial_session_id", &options.partial_session_id, NULL},
        {"language", &options.language, NULL},
        {"user_agent", &options.user_agent, NULL},
        {"ca_pem", &options.ca_pem, NULL},
        {"proxy", &options.proxy, NULL},
        {"timeout_ms", NULL, &options.timeout_ms},
        {"connect_timeout_ms", NULL, &options.connect_timeout_ms},
        {"retries", NULL, (uint32_t *)&options.retries},
        {"allow_http", NULL, &options.allow_http},
        {"threads", NULL, &threads},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) == 0) {
            if (known[i].text) {
                *known[i].text = value;
            } else {
                *known[i].number = (uint32_t)strtoll(value, NULL, 10);
            }
            return true;
        }
    }
    return false;
}

static void *log_in_and_out(void *unused)
{
    files_session *session = NULL;
    files_session_error *error = NULL;
    files_session_status status = files_session_login(&options, &session, &error);
    if (session) {
        files_session_logout(session, NULL);
    }
    printf("%d %s\n", (int)status,
           session ? files_session_base_url(session) : files_session_error_message(error));
    files_session_free(session);
    files_session_error_free(error);
    return unused;
}

static void *log_out(void *unused)
{
    printf("%d %s\n", (int)files_session_logout(shared, NULL), files_session_id(shared));
    return unused;
}

/* Runs a function in all threads. Returns whether that failed. */
static bool in_threads(void *(*function)(void *))
{
    pthread_attr_t small;
    pthread_t ids[64];
    bool failed = pthread_attr_init(&small) || pthread_attr_setstacksize(&small, 128 * 1024);
    for (uint32_t i = 0; i < threads && !failed; i++) {
        failed = pthread_create(&ids[i], &small, function, NULL);
    }
    for (uint32_t i = 0; i < threads && !failed; i++) {
        failed = pthread_join(ids[i], NULL);
    }
    return failed;
}

int main(int argc, char **argv)
{
    options.username = "username";
    options.password = "password";
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) {
            return 2;
        }
        *value++ = '\0';
        if (!set(argv[i], value)) {
            return 2;
        }
    }
    bool failed = in_threads(log_in_and_out);
    if (threads > 1 && !failed) {
        failed = files_session_login(&options, &shared, NULL) || in_threads(log_out);
    }
    files_session_free(shared);
    return failed;
}
