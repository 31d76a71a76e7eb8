/*
 * The least that HTTP can cost: an epoll loop that looks for the empty lines behind requests and
 * answers each with the same constant.
 */
#define _GNU_SOURCE
#include "floor.h"

#include <string.h>

#define HEAD                                                                                       \
    "HTTP/1.1 200 OK\r\n"                                                                          \
    "Content-Type: text/plain; charset=utf-8\r\n"                                                  \
    "Content-Length: 13\r\n"                                                                       \
    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
#define KEPT_ALIVE HEAD "\r\nHello, World!"
#define CLOSED HEAD "Connection: close\r\n\r\nHello, World!"

#define MAX_ANSWERS 256

static char answers[(sizeof KEPT_ALIVE - 1) * MAX_ANSWERS];

static bool on_data(struct floor_client *client, char *data, size_t length) {
    size_t requests = 0;
    char *end = data;
    while ((end = memmem(end, (size_t)(data + length - end), "\r\n\r\n", 4))) {
        end += 4;
        requests++;
    }
    if (requests == 1 && memmem(data, length, "Connection: close", 17)) {
        floor_send(client, CLOSED, sizeof CLOSED - 1);
        return false;
    }
    while (requests > 0) {
        size_t count = requests < MAX_ANSWERS ? requests : MAX_ANSWERS;
        floor_send(client, answers, count * (sizeof KEPT_ALIVE - 1));
        requests -= count;
    }
    return true;
}

int main(void) {
    for (size_t i = 0; i < MAX_ANSWERS; i++)
        memcpy(answers + i * (sizeof KEPT_ALIVE - 1), KEPT_ALIVE, sizeof KEPT_ALIVE - 1);
    return floor_serve(on_data);
}
