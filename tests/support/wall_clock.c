#define _GNU_SOURCE
#include "wall_clock.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int64_t wall_clock_offset;

#ifdef __linux__

/* A program's own functions are found before those of libc, by its libraries, too. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    int err = (int)syscall(SYS_clock_gettime, clock, now);
    if (!err && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += wall_clock_offset;
    return err;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *result = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

#endif
