/*
 * Logs in with a second factor, by the loop of files_session.h.
 *
 *     answer BASE_URL [FIRST_CODE]
 *
 * The user types a wrong code, then the right one, over and over. If a call fails for another
 * reason, the same challenge is answered again. Prints each status, and "ok" at the end.
 */

#include "files_session.h"

#include <stdio.h>

static const char *ask(void)
{
    static int n;
    return n++ % 2 == 0 ? "000 000" : "123 456\n";
}

int main(int argc, char **argv)
{
    files_session_options options = FILES_SESSION_OPTIONS_INIT;
    files_session *session = NULL;
    files_session_error *error = NULL;
    options.base_url = argv[1];
    options.username = "2fa";
    options.password = "password";
    options.proxy = "";
    if (argc > 2)
        options.otp = argv[2];

    files_session_status status = files_session_login(&options, &session, &error);
    printf("%d\n", status);
    for (int broken = 0; status != FILES_SESSION_OK && broken < 2; broken++) {
        do {
            status = files_session_answer(&options, error, ask(), &session, &error);
            printf("%d\n", status);
        } while (status == FILES_SESSION_TWO_FACTOR_REQUIRED ||
                 status == FILES_SESSION_OTP_INCORRECT);
    }
    if (status != FILES_SESSION_OK)
        return 1;
    files_session_logout(session, NULL);
    files_session_free(session);
    puts("ok");
    return 0;
}
