/*
 * One call, in a thread with a stack of 128 KiB:
 *
 *     call NAME=VALUE...
 *
 * The names are those of the options. username and password have these words as their defaults. It
 * logs in and out, and prints the status, and the session's base_url or the error's message.
 */

#include "files_session.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static files_session_options options = FILES_SESSION_OPTIONS_INIT;

/* Sets an option. Returns whether there is one of this name. */
static bool set(const char *name, const char *value)
{
    const struct {
        const char *name, **text;
    } texts[] = {
        {"base_url", &options.base_url}, {"username", &options.username},
        {"password", &options.password}, {"otp", &options.otp},
        {"partial_session_id", &options.partial_session_id},
        {"language", &options.language}, {"user_agent", &options.user_agent},
        {"ca_pem", &options.ca_pem}, {"proxy", &options.proxy},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].text = value;
            return true;
        }
    }
    if (strcmp(name, "timeout_ms") == 0) {
        options.timeout_ms = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "connect_timeout_ms") == 0) {
        options.connect_timeout_ms = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "retries") == 0) {
        options.retries = (int32_t)strtol(value, NULL, 10);
    } else if (strcmp(name, "allow_http") == 0) {
        options.allow_http = (uint32_t)strtoul(value, NULL, 10);
    } else {
        return false;
    }
    return true;
}

static void *call(void *unused)
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

int main(int argc, char **argv)
{
    pthread_attr_t small;
    pthread_t thread;
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
    return pthread_attr_init(&small) || pthread_attr_setstacksize(&small, 128 * 1024) ||
           pthread_create(&thread, &small, call, NULL) || pthread_join(thread, NULL);
}
