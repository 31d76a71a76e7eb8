#define _GNU_SOURCE
#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

void (*floor_on_close)(struct floor_client *client);

static int epoll;

static int listen_here(void) {
    const char *port = getenv("PORT");
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)(port ? atoi(port) : 3000))};
    socklen_t length = sizeof address;
    struct rlimit files;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* handed down on Linux */
    if (bind(fd, (struct sockaddr *)&address, length) || listen(fd, 4096)) {
        perror("floor");
        exit(1);
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("listening on http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void wait_for(struct floor_client *client, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = client};
    epoll_ctl(epoll, operation, client->fd, &event);
}

static void accept_all(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct floor_client *client = calloc(1, sizeof *client);
        if (!client)
            abort();
        client->fd = fd;
        wait_for(client, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void drop(struct floor_client *client) {
    if (floor_on_close)
        floor_on_close(client);
    close(client->fd);
    free(client->input);
    free(client->output);
    free(client);
}

void floor_send(struct floor_client *client, const char *data, size_t length) {
    ssize_t sent = client->output ? 0 : send(client->fd, data, length, MSG_NOSIGNAL);
    size_t rest = length - (sent > 0 ? (size_t)sent : 0);
    if (rest == 0)
        return;
    if (!client->output)
        wait_for(client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    client->output = realloc(client->output, client->output_length + rest);
    if (!client->output)
        abort();
    memcpy(client->output + client->output_length, data + length - rest, rest);
    client->output_length += rest;
}

static void drain(struct floor_client *client) {
    ssize_t sent = send(client->fd, client->output, client->output_length, MSG_NOSIGNAL);
    if (sent <= 0)
        return;
    client->output_length -= (size_t)sent;
    memmove(client->output, client->output + sent, client->output_length);
    if (client->output_length > 0)
        return;
    free(client->output);
    client->output = NULL;
    wait_for(client, EPOLL_CTL_MOD, EPOLLIN);
}

static void receive(struct floor_client *client,
                    bool (*on_data)(struct floor_client *client, char *data, size_t length)) {
    static char buffer[FLOOR_BUFFER + 16];
    ssize_t length = recv(client->fd, buffer, FLOOR_BUFFER, 0);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0 || !on_data(client, buffer, (size_t)length))
        drop(client);
}

int floor_serve(bool (*on_data)(struct floor_client *client, char *data, size_t length)) {
    struct epoll_event ready[512];
    struct floor_client listener = {.fd = listen_here()};
    epoll = epoll_create1(EPOLL_CLOEXEC);
    wait_for(&listener, EPOLL_CTL_ADD, EPOLLIN);
    for (;;) {
        int count = epoll_wait(epoll, ready, 512, -1);
        for (int i = 0; i < count; i++) {
            struct floor_client *client = ready[i].data.ptr;
            if (client == &listener) {
                accept_all(listener.fd);
                continue;
            }
            if (ready[i].events & EPOLLOUT)
                drain(client);
            if (ready[i].events & ~(uint32_t)EPOLLOUT)
                receive(client, on_data);
        }
    }
}
