/*
 * Calls that a canceller ends from another thread, in every phase. This program is also the server,
 * and its getaddrinfo replaces the C library's.
 *
 *     canceller         ends calls, and says "ok"
 *     canceller exit    says "ok", and exits during a call
 */

#include "files_session.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                         \
        }                                                                    \
    } while (0)

enum phase { LOOKUP, TCP, PROXY, TLS, RESPONSE, BODY, LOGOUT, BACKOFF, PHASES };

/* One call, and the server's side of it. */
struct call {
    files_session_options options;
    files_session_status status;
    char url[64], proxy[64], message[64];
    int listener, connection;
    bool returned_session;
    pthread_t thread, server;
};

static struct call calls[PHASES];
static sem_t phase_reached, lookup_may_end, lookup_ended;

static void wait_for(sem_t *event)
{
    while (sem_wait(event) != 0) {
    }
}

static struct sockaddr_in loopback;
static struct addrinfo this_machine;
static atomic_bool is_name_looked_up;

/* Every name resolves to this machine, except one whose lookup hangs. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    (void)service, (void)hints;
    if (strcmp(name, "hangs.test.invalid") == 0) {
        CHECK(sem_post(&phase_reached) == 0);
        wait_for(&lookup_may_end);
        CHECK(sem_post(&lookup_ended) == 0);
        return EAI_FAIL;
    }
    /* On a slow machine, a second attempt may begin before the cancellation. */
    if (!atomic_exchange(&is_name_looked_up, true)) {
        CHECK(sem_post(&phase_reached) == 0);
    }
    *result = &this_machine;
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    (void)info;
}

static int listen_on_loopback(int backlog, struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)address, length) == 0);
    CHECK(listen(listener, backlog) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)address, &length) == 0);
    return listener;
}

/* Reads up to this text, or to the end of the connection. Returns whether the text came. */
static bool read_to(int connection, const char *end)
{
    size_t matched = 0;
    char byte = 0;
    while (end[matched] && recv(connection, &byte, 1, 0) == 1) {
        matched = byte == end[matched] ? matched + 1 : byte == end[0];
    }
    return !end[matched];
}

static void send_text(int connection, const char *text)
{
    CHECK(send(connection, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

static const char accepted[] = "HTTP/1.1 201 Created\r\n"
                               "Content-Length: 13\r\n\r\n{\"id\":\"some\"}";

/* Leads a call into its phase, and leaves it there until the client closes the connection. */
static void *serve(void *argument)
{
    struct call *call = (struct call *)argument;
    enum phase phase = (enum phase)(call - calls);
    int connection = accept(call->listener, NULL, NULL);
    CHECK(connection >= 0);
    if (phase == TLS) {
        char byte = 0;
        CHECK(recv(connection, &byte, 1, 0) == 1 && byte == 22); /* a handshake record */
    } else if (phase == LOGOUT) {
        CHECK(read_to(connection, "}"));
        send_text(connection, accepted);
        CHECK(read_to(connection, "DELETE") && read_to(connection, "\r\n\r\n"));
    } else {
        CHECK(read_to(connection, "\r\n\r\n"));
    }
    if (phase == BACKOFF) {
        send_text(connection, "HTTP/1.1 503 Unavailable\r\nRetry-After: 100\r\n"
                              "Content-Length: 0\r\n\r\n");
        CHECK(!read_to(connection, "never")); /* closed: the client waits for the retry */
    }
    if (phase == BODY) {
        send_text(connection, "HTTP/1.1 201 Created\r\nContent-Length: 60000\r\n\r\n{");
    }
    CHECK(sem_post(&phase_reached) == 0);
    struct pollfd client = {connection, POLLRDHUP, 0};
    while (phase == BODY && poll(&client, 1, 50) == 0) {
        send(connection, " ", 1, MSG_NOSIGNAL);
    }
    CHECK(!read_to(connection, "never"));
    close(connection);
    return NULL;
}

static void *make_call(void *argument)
{
    struct call *call = (struct call *)argument;
    enum phase phase = (enum phase)(call - calls);
    files_session *session = NULL;
    files_session_error *error = NULL;
    if (phase == BACKOFF) {
        CHECK(files_session_resume(&call->options, "id", &session, NULL) == FILES_SESSION_OK);
    } else {
        call->status = files_session_login(&call->options, &session, &error);
    }
    if (session) {
        CHECK(!error);
        call->status = files_session_logout(session, &error);
    }
    call->returned_session = session != NULL;
    snprintf(call->message, sizeof call->message, "%s", files_session_error_message(error));
    files_session_free(session);
    files_session_error_free(error);
    return NULL;
}

static void set_options(struct call *call, files_session_canceller *canceller)
{
    enum phase phase = (enum phase)(call - calls);
    files_session_options options = FILES_SESSION_OPTIONS_INIT;
    struct sockaddr_in address;
    call->listener = listen_on_loopback(phase == TCP ? 0 : 8, &address);
    call->connection = -1;
    /* TCP has a name, so that getaddrinfo can report it: no server sees a pending connect. */
    snprintf(call->url, sizeof call->url, "http%s://%s:%d",
             phase == TLS || phase == PROXY ? "s" : "",
             phase == TCP ? "mysite.test.invalid" : "127.0.0.1", (int)ntohs(address.sin_port));
    options.base_url = phase == LOOKUP ? "https://hangs.test.invalid" : call->url;
    options.username = "username";
    options.password = "password";
    options.proxy = "";
    if (phase == PROXY) {
        snprintf(call->proxy, sizeof call->proxy, "http%s", call->url + strlen("https"));
        options.proxy = call->proxy;
    }
    options.allow_http = 1;
    options.canceller = canceller;
    /* Longer than the test may take, except for a TCP connect, which only its limit ends. */
    options.timeout_ms = 1000 * 1000;
    options.connect_timeout_ms = phase == TCP ? 2000 : 1000 * 1000;
    call->options = options;
    if (phase == TCP) {
        /* With a full queue, the system doesn't answer a connect. */
        call->connection = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(connect(call->connection, (struct sockaddr *)&address, sizeof address) == 0);
    }
}

/* Eight threads, each in a phase of a call, and one that cancels. */
static void every_phase(bool free_first)
{
    files_session_canceller *canceller = files_session_canceller_new();
    atomic_store(&is_name_looked_up, false);
    for (int phase = 0; phase < PHASES; phase++) {
        struct call *call = &calls[phase];
        set_options(call, canceller);
        if (phase != LOOKUP && phase != TCP) {
            CHECK(pthread_create(&call->server, NULL, serve, call) == 0);
        }
        CHECK(pthread_create(&call->thread, NULL, make_call, call) == 0);
    }
    for (int i = 0; i < PHASES; i++) {
        wait_for(&phase_reached);
    }
    const time_t start = time(NULL);
    files_session_cancel(canceller);
    if (free_first) {
        files_session_canceller_free(canceller);
    }
    for (int phase = 0; phase < PHASES; phase++) {
        struct call *call = &calls[phase];
        CHECK(pthread_join(call->thread, NULL) == 0);
        if (call->status != FILES_SESSION_CANCELLED) {
            fprintf(stderr, "phase %d: %d %s\n", phase, (int)call->status, call->message);
            exit(1);
        }
        CHECK(strstr(call->message, "cancel"));
        CHECK(call->returned_session == (phase == LOGOUT || phase == BACKOFF));
        if (phase != LOOKUP && phase != TCP) {
            CHECK(pthread_join(call->server, NULL) == 0);
        }
        if (call->connection >= 0) {
            close(call->connection);
        }
        close(call->listener);
    }
    CHECK(time(NULL) - start < 30);
    CHECK(sem_post(&lookup_may_end) == 0);
    wait_for(&lookup_ended);
    if (!free_first) {
        files_session_canceller_free(canceller);
    }
}

static void *log_in_and_out(void *argument)
{
    const files_session_options *options = (const files_session_options *)argument;
    files_session *session = NULL;
    CHECK(files_session_login(options, &session, NULL) == FILES_SESSION_OK);
    CHECK(files_session_logout(session, NULL) == FILES_SESSION_OK);
    files_session_free(session);
    return NULL;
}

/* A call and its session don't need the caller's reference to the canceller. */
static void freed_during_a_call(bool leave_it_running)
{
    struct sockaddr_in address;
    char url[64];
    pthread_t thread;
    files_session_options options = FILES_SESSION_OPTIONS_INIT;
    int listener = listen_on_loopback(8, &address);
    snprintf(url, sizeof url, "http://mysite.test.invalid:%d", (int)ntohs(address.sin_port));
    options.base_url = url;
    options.allow_http = 1;
    options.proxy = "";
    options.username = "username";
    options.password = "password";
    options.canceller = files_session_canceller_new();
    atomic_store(&is_name_looked_up, false);
    CHECK(pthread_create(&thread, NULL, log_in_and_out, &options) == 0);
    wait_for(&phase_reached);
    files_session_canceller_free(options.canceller);
    int connection = accept(listener, NULL, NULL);
    CHECK(connection >= 0 && read_to(connection, "}"));
    if (leave_it_running) {
        puts("ok");
        exit(0);
    }
    send_text(connection, accepted);
    CHECK(read_to(connection, "DELETE") && read_to(connection, "\r\n\r\n"));
    send_text(connection, "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK(pthread_join(thread, NULL) == 0);
    close(connection);
    close(listener);
}

int main(int argc, char **argv)
{
    alarm(60); /* ends this program if a call doesn't end */
    loopback.sin_family = AF_INET;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    this_machine.ai_family = AF_INET;
    this_machine.ai_socktype = SOCK_STREAM;
    this_machine.ai_addrlen = sizeof loopback;
    this_machine.ai_addr = (struct sockaddr *)&loopback;
    CHECK(sem_init(&phase_reached, 0, 0) == 0);
    CHECK(sem_init(&lookup_may_end, 0, 0) == 0 && sem_init(&lookup_ended, 0, 0) == 0);
    if (argc > 1 && strcmp(argv[1], "exit") == 0) {
        freed_during_a_call(true);
    }
    every_phase(false);
    every_phase(true);
    freed_during_a_call(false);
    puts("ok");
    return 0;
}
