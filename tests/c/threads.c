/* Eight threads with a stack of 128 KiB, each with sessions of its own: threads BASE_URL [CA_PEM] */

#include "files_session.h"

#include <pthread.h>
#include <stdio.h>

static const char *base_url, *ca_pem;

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

static void *log_in_and_out(void *failed)
{
    files_session_options options = FILES_SESSION_OPTIONS_INIT;
    options.base_url = base_url;
    options.ca_pem = ca_pem;
    options.username = "username";
    options.password = "password";
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

int main(int argc, char **argv)
{
    pthread_attr_t small;
    pthread_t threads[8];
    int failed = argc < 2 || pthread_attr_init(&small) ||
                 pthread_attr_setstacksize(&small, 128 * 1024);
    base_url = argv[1];
    ca_pem = argc > 2 ? argv[2] : NULL;
    for (int i = 0; i < 8 && !failed; i++) {
        failed = pthread_create(&threads[i], &small, log_in_and_out, threads);
    }
    for (int i = 0; i < 8 && !failed; i++) {
        void *result = NULL;
        failed = pthread_join(threads[i], &result) || result;
    }
    puts(failed ? "failed" : "ok");
    return failed;
}
