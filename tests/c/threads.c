/*
 * Eight threads with a stack of 128 KiB, first each with its own sessions, then with one that they
 * share: threads BASE_URL [CA_PEM]
 */

#include "files_session.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

static const char *base_url, *ca_pem;
static files_session *shared;

/* A refused login, which must not need more stack. */
static int is_refused(files_session_options options)
{
    files_session *session = NULL;
    files_session_error *error = NULL;
    options.password = "wrong";
    int refused = files_session_login(&options, &session, &error) ==
                      FILES_SESSION_INVALID_CREDENTIALS &&
                  !session && files_session_error_message(error)[0] != '\0';
    files_session_error_free(error);
    return refused;
}

static files_session_options with_password(void)
{
    files_session_options options = FILES_SESSION_OPTIONS_INIT;
    options.base_url = base_url;
    options.ca_pem = ca_pem;
    options.username = "username";
    options.password = "password";
    return options;
}

static void *log_in_and_out(void *failed)
{
    files_session_options options = with_password();
    for (int i = 0; i < 5; i++) {
        files_session *session = NULL;
        if (files_session_login(&options, &session, NULL) != FILES_SESSION_OK ||
            files_session_logout(session, NULL) != FILES_SESSION_OK) {
            return failed;
        }
        files_session_free(session);
        /* The https server accepts any password. */
        if (!ca_pem && !is_refused(options)) {
            return failed;
        }
    }
    return NULL;
}

static void *log_out(void *failed)
{
    int is_done = files_session_logout(shared, NULL) == FILES_SESSION_OK;
    return is_done && files_session_id(shared)[0] != '\0' ? NULL : failed;
}

/* Runs a function in eight threads. Returns whether one failed. */
static int eight_times(void *(*function)(void *))
{
    pthread_attr_t small;
    pthread_t threads[8];
    int failed = pthread_attr_init(&small) || pthread_attr_setstacksize(&small, 128 * 1024);
    for (int i = 0; i < 8 && !failed; i++) {
        failed = pthread_create(&threads[i], &small, function, threads);
    }
    for (int i = 0; i < 8 && !failed; i++) {
        void *result = NULL;
        failed = pthread_join(threads[i], &result) || result;
    }
    return failed;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return 2;
    }
    base_url = argv[1];
    ca_pem = argc > 2 ? argv[2] : NULL;
    files_session_options options = with_password();
    int failed = eight_times(log_in_and_out) ||
                 files_session_login(&options, &shared, NULL) != FILES_SESSION_OK ||
                 eight_times(log_out);
    files_session_free(shared);
    puts(failed ? "failed" : "ok");
    return failed;
}
