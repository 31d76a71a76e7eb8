/*
 * Asks a server for the same thing again and again, on some connections that are kept alive, and
 * tells how often it got it, and what CPU time the server took for it:
 *
 *     load PORT PATH CONNECTIONS SECONDS PID[,PID…] [HEADER…]
 *     {"requests":12345,"seconds":3.000,"bytes":12641280,"user_us":2.1,"system_us":6.5}
 *
 * `bytes` are those of the bodies, as they came; the times are for one request, of all of these
 * processes together (/proc/PID/stat). Every answer must be a 200. Linux only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (256 * 1024)
#define HEAD_SIZE 8192
#define WARM_UP 0.3 /* seconds that don't count */

struct client {
    int fd;
    size_t head_length; /* so much of the head is there */
    char head[HEAD_SIZE];
    bool in_body, chunked, last_chunk;
    uint64_t left; /* of the body, or of the chunk */
    char line[32]; /* of a chunk's size */
    size_t line_length;
};

static char *request;
static size_t request_length;
static uint64_t requests, bytes;

static void die(const char *why) {
    fprintf(stderr, "load: %s\n", why);
    exit(1);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void ask(struct client *client) {
    client->head_length = client->line_length = 0;
    client->in_body = client->last_chunk = false;
    if (send(client->fd, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length)
        die("can't send");
}

static void begin_body(struct client *client) {
    client->head[client->head_length] = '\0';
    if (strncmp(client->head, "HTTP/1.1 200", 12) != 0)
        die(client->head);
    const char *length = strcasestr(client->head, "\r\nContent-Length:");
    client->chunked = strcasestr(client->head, "\r\nTransfer-Encoding: chunked") != NULL;
    if (!length && !client->chunked)
        die("an answer without an end");
    client->left = length ? strtoull(length + 17, NULL, 10) : 0;
    client->in_body = true;
}

/* Each takes what it can of `n` bytes, and returns how many. */
static size_t take_head(struct client *client, const char *data, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (client->head_length == HEAD_SIZE - 1)
            die("the head is too long");
        client->head[client->head_length++] = data[i];
        if (client->head_length >= 4 &&
            memcmp(client->head + client->head_length - 4, "\r\n\r\n", 4) == 0) {
            begin_body(client);
            return i + 1;
        }
    }
    return n;
}

static size_t take_bytes(struct client *client, size_t n) {
    if (n > client->left)
        n = (size_t)client->left;
    client->left -= n;
    bytes += n;
    return n;
}

/* A line: a chunk's size, or the end of one, or that of the body. */
static size_t take_line(struct client *client, const char *data, size_t n) {
    const char *end = memchr(data, '\n', n);
    size_t length = end ? (size_t)(end + 1 - data) : n;
    if (client->line_length + length >= sizeof client->line)
        die("a chunk is malformed");
    memcpy(client->line + client->line_length, data, length);
    client->line_length += length;
    if (!end)
        return n;
    client->line[client->line_length] = '\0';
    bool is_empty = client->line_length == 2;
    client->line_length = 0;
    if (is_empty && client->last_chunk)
        client->in_body = client->chunked = false;
    if (!is_empty) {
        client->left = strtoull(client->line, NULL, 16);
        client->last_chunk = client->left == 0;
    }
    return length;
}

static void take(struct client *client, const char *data, size_t n) {
    while (n > 0) {
        size_t used = !client->in_body   ? take_head(client, data, n)
                      : client->left > 0 ? take_bytes(client, n)
                      : client->chunked  ? take_line(client, data, n)
                                         : 0;
        data += used;
        n -= used;
        bool is_over = client->head_length > 0 && client->left == 0 && !client->chunked &&
                       (client->in_body || client->last_chunk);
        if (is_over) {
            if (n > 0)
                die("more than was asked for");
            requests++;
            ask(client);
        }
    }
}

/* --- The server's CPU time -------------------------------------------------------------------- */

struct cpu {
    double user, system; /* seconds */
};

static void add_cpu(struct cpu *cpu, const char *pid) {
    char path[64], text[1024];
    unsigned long user, system;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[n] = '\0';
    const char *name_end = strrchr(text, ')');
    if (!name_end || sscanf(name_end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                            &user, &system) != 2)
        die("there is no such process");
    cpu->user += (double)user / (double)sysconf(_SC_CLK_TCK);
    cpu->system += (double)system / (double)sysconf(_SC_CLK_TCK);
}

static struct cpu cpu_of(const char *pids) {
    struct cpu cpu = {0, 0};
    char copy[256], *save = NULL;
    snprintf(copy, sizeof copy, "%s", pids);
    for (char *pid = strtok_r(copy, ",", &save); pid; pid = strtok_r(NULL, ",", &save))
        add_cpu(&cpu, pid);
    return cpu;
}

/* --- The clients ------------------------------------------------------------------------------ */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void run_until(int epoll, double end) {
    static char buffer[BUFFER];
    struct epoll_event events[256];
    while (now() < end) {
        int count = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            ssize_t n = recv(client->fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (n == 0 || (n < 0 && errno != EAGAIN))
                die("the server has closed a connection");
            if (n > 0)
                take(client, buffer, (size_t)n);
        }
    }
}

static void connect_client(struct client *client, int epoll, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address))
        die("can't connect");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event);
    ask(client);
}

static void make_request(const char *path, char **headers, int count) {
    FILE *to = open_memstream(&request, &request_length);
    fprintf(to, "GET %s HTTP/1.1\r\nHost: localhost\r\n", path);
    for (int i = 0; i < count; i++)
        fprintf(to, "%s\r\n", headers[i]);
    fputs("\r\n", to);
    fclose(to);
}

int main(int argc, char **argv) {
    if (argc < 6)
        die("usage: load PORT PATH CONNECTIONS SECONDS PID[,PID...] [HEADER...]");
    int epoll = epoll_create1(EPOLL_CLOEXEC), count = atoi(argv[3]);
    struct client *clients = calloc((size_t)count, sizeof *clients);
    if (epoll < 0 || !clients)
        die("no memory");
    make_request(argv[2], argv + 6, argc - 6);
    for (int i = 0; i < count; i++)
        connect_client(&clients[i], epoll, atoi(argv[1]));
    run_until(epoll, now() + WARM_UP);
    struct cpu before = cpu_of(argv[5]);
    double start = now();
    requests = bytes = 0;
    run_until(epoll, start + atof(argv[4]));
    double seconds = now() - start;
    struct cpu after = cpu_of(argv[5]);
    double micros = 1e6 / (requests ? (double)requests : 1);
    printf(
        "{\"requests\":%llu,\"seconds\":%.3f,\"bytes\":%llu,\"user_us\":%.2f,\"system_us\":%.2f}\n",
        (unsigned long long)requests, seconds, (unsigned long long)bytes,
        (after.user - before.user) * micros, (after.system - before.system) * micros);
    return requests ? 0 : 1;
}
