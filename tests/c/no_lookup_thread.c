/*
 * For LD_PRELOAD: creating a thread with a stack of 256 KiB, such as the library's lookup thread,
 * fails. Prints a line for each attempt.
 */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument)
{
    const char line[] = "no thread\n";
    size_t stack = 0;
    if (attributes && pthread_attr_getstacksize(attributes, &stack) == 0 && stack == 256 * 1024) {
        return write(STDOUT_FILENO, line, strlen(line)) > 0 ? EAGAIN : EINVAL;
    }
    create *next = NULL;
    *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    return next(thread, attributes, start, argument);
}
