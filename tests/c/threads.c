/* Eight threads, each with a session of its own: threads BASE_URL */

#include "files_session.h"

#include <pthread.h>
#include <stdio.h>

static void *log_in_and_out(void *base_url)
{
    files_session_options options = FILES_SESSION_OPTIONS_INIT;
    options.base_url = base_url;
    options.username = "username";
    options.password = "password";
    for (int i = 0; i < 5; i++) {
        files_session *session = NULL;
        if (files_session_login(&options, &session, NULL) != FILES_SESSION_OK ||
            files_session_logout(session, NULL) != FILES_SESSION_OK) {
            return base_url;
        }
        files_session_free(session);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[8];
    int failed = argc < 2;
    for (int i = 0; i < 8 && !failed; i++) {
        failed = pthread_create(&threads[i], NULL, log_in_and_out, argv[1]);
    }
    for (int i = 0; i < 8 && !failed; i++) {
        void *result = NULL;
        failed = pthread_join(threads[i], &result) || result;
    }
    puts(failed ? "failed" : "ok");
    return failed;
}
