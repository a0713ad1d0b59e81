/*
 * A thread that is cancelled during a login is cancelled after it. So is one that is cancelled during
 * a free. This program is also the server.
 */

#include "files_session.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                         \
        }                                                                    \
    } while (0)

struct login {
    char base_url[32];
    bool cancel_before_free;
    files_session *session;
    files_session_status status;
    bool returned, freed, went_on;
};

static void clean_up(void *of)
{
    struct login *login = (struct login *)of;
    files_session_free(login->session);
    login->freed = true;
}

static void *log_in(void *of)
{
    struct login *login = (struct login *)of;
    files_session_options options = FILES_SESSION_OPTIONS_INIT;
    options.base_url = login->base_url;
    options.username = "username";
    options.password = "password";
    pthread_cleanup_push(clean_up, login);
    login->status = files_session_login(&options, &login->session, NULL);
    login->returned = true;
    if (login->cancel_before_free) {
        pthread_cancel(pthread_self());
        files_session_free(login->session);
        login->session = NULL;
        login->freed = true;
    }
    pthread_testcancel();
    login->went_on = true;
    pthread_cleanup_pop(1);
    return NULL;
}

/* Reads a request up to the end of its body, which is a JSON object without another in it. */
static void read_request(int connection)
{
    char byte = 0;
    while (byte != '}') {
        CHECK(recv(connection, &byte, 1, 0) == 1);
    }
}

static void accept_login(int connection)
{
    const char response[] = "HTTP/1.1 201 Created\r\nContent-Length: 13\r\n\r\n{\"id\":\"some\"}";
    CHECK(send(connection, response, strlen(response), 0) == (ssize_t)strlen(response));
}

int main(void)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, 8) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);

    for (int cancel_before_free = 0; cancel_before_free < 2; cancel_before_free++) {
        struct login login;
        pthread_t thread;
        void *result = NULL;
        memset(&login, 0, sizeof login);
        login.cancel_before_free = cancel_before_free;
        snprintf(login.base_url, sizeof login.base_url, "http://127.0.0.1:%d",
                 (int)ntohs(address.sin_port));
        CHECK(pthread_create(&thread, NULL, log_in, &login) == 0);

        int connection = accept(listener, NULL, NULL);
        CHECK(connection >= 0);
        read_request(connection);
        if (!cancel_before_free) {
            CHECK(pthread_cancel(thread) == 0);
        }
        accept_login(connection);
        CHECK(pthread_join(thread, &result) == 0);
        CHECK(result == PTHREAD_CANCELED);
        CHECK(login.returned && login.freed && !login.went_on);
        CHECK(login.status == FILES_SESSION_OK);
        close(connection);
    }
    close(listener);

    /* The cancelability state is restored. */
    const int states[] = {PTHREAD_CANCEL_DISABLE, PTHREAD_CANCEL_ENABLE};
    for (int i = 0; i < 2; i++) {
        files_session_options options = FILES_SESSION_OPTIONS_INIT;
        files_session *session = NULL;
        int state = -1;
        CHECK(pthread_setcancelstate(states[i], NULL) == 0);
        CHECK(files_session_resume(&options, "id", &session, NULL) == FILES_SESSION_OK);
        files_session_free(session);
        CHECK(pthread_setcancelstate(states[i], &state) == 0 && state == states[i]);
    }
    puts("ok");
    return 0;
}
