/*
 * One call, as the arguments say:
 *
 *     call NAME=VALUE...
 *
 * The names are those of the options, which are all zero but for the size. It logs in and out, as
 * "username" with "password" unless something else is said; with resume=ID it resumes that session.
 * It prints the status, and the session's base_url or the error's message.
 */

#include "files_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    files_session_options options;
    files_session *session = NULL;
    files_session_error *error = NULL;
    files_session_status status;
    const char *id = NULL;
    struct {
        const char *name, **text;
    } texts[] = {
        {"base_url", &options.base_url}, {"username", &options.username},
        {"password", &options.password}, {"otp", &options.otp},
        {"language", &options.language}, {"proxy", &options.proxy},
        {"partial_session_id", &options.partial_session_id}, {"resume", &id},
    };

    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.username = "username";
    options.password = "password";
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        bool known = false;
        if (!value) {
            return 2;
        }
        *value++ = '\0';
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            if (strcmp(argv[i], texts[t].name) == 0) {
                *texts[t].text = value;
                known = true;
            }
        }
        if (strcmp(argv[i], "timeout_ms") == 0) {
            options.timeout_ms = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "connect_timeout_ms") == 0) {
            options.connect_timeout_ms = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "retries") == 0) {
            options.retries = (int32_t)strtol(value, NULL, 10);
        } else if (strcmp(argv[i], "allow_http") == 0) {
            options.allow_http = (uint32_t)strtoul(value, NULL, 10);
        } else if (!known) {
            return 2;
        }
    }
    if (id) {
        status = files_session_resume(&options, id, &session, &error);
    } else {
        status = files_session_login(&options, &session, &error);
        if (session) {
            files_session_logout(session, NULL);
        }
    }
    printf("%d %s\n", (int)status,
           session ? files_session_base_url(session) : files_session_error_message(error));
    files_session_free(session);
    files_session_error_free(error);
    return 0;
}
