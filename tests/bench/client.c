#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int epoll = -1;
static struct sockaddr_in address;
static SSL_CTX *tls_context;

void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory)
        die("no memory");
    return memory;
}

size_t number(const char *text) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value > 1000000000)
        die("%s is not a number", text);
    return value;
}

/* --- Connections ------------------------------------------------------------------------------ */

void client_setup(int port, bool tls) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll_create1: %s", strerror(errno));
    if (!tls)
        return;
    tls_context = SSL_CTX_new(TLS_client_method());
    if (!tls_context)
        die("no TLS");
    SSL_CTX_set_mode(tls_context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* As much as there is in one read, not a record's head and then the rest. */
    SSL_CTX_set_read_ahead(tls_context, 1);
    SSL_CTX_set_default_read_buffer_len(tls_context, 64 * 1024);
}

void client_open(struct client *client) {
    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address))
        die("can't connect: %s", strerror(errno));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (tls_context) {
        client->tls = SSL_new(tls_context);
        if (!client->tls || SSL_set_fd(client->tls, client->fd) != 1 ||
            SSL_connect(client->tls) != 1)
            die("no TLS: %s", ERR_reason_error_string(ERR_get_error()));
    }
    if (ioctl(client->fd, FIONBIO, &(int){1}))
        die("FIONBIO: %s", strerror(errno));
}

void client_close(struct client *client) {
    SSL_free(client->tls);
    close(client->fd);
}

static bool tls_must_wait(struct client *client, int result) {
    int error = SSL_get_error(client->tls, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

size_t client_send(struct client *client, const void *data, size_t length) {
    if (client->tls) {
        int sent = SSL_write(client->tls, data, (int)length);
        if (sent <= 0 && !tls_must_wait(client, sent))
            die("can't send");
        return sent > 0 ? (size_t)sent : 0;
    }
    ssize_t sent = send(client->fd, data, length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        die("can't send: %s", strerror(errno));
    return sent > 0 ? (size_t)sent : 0;
}

ssize_t client_receive(struct client *client, void *buffer, size_t size) {
    if (client->tls) {
        int received = SSL_read(client->tls, buffer, (int)size);
        client->is_drained = received <= 0;
        if (received > 0)
            return received;
        return tls_must_wait(client, received) ? 0 : -1;
    }
    ssize_t received = recv(client->fd, buffer, size, 0);
    if (received > 0)
        return received;
    return received < 0 && errno == EAGAIN ? 0 : -1;
}

void client_watch(struct client *client) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

void client_watch_write(struct client *client, bool wanted) {
    if (client->wants_write == wanted)
        return;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = client};
    epoll_ctl(epoll, EPOLL_CTL_MOD, client->fd, &event);
    client->wants_write = wanted;
}

/* --- Handshakes, one after the other ---------------------------------------------------------- */

void client_write_all(struct client *client, const void *data, size_t length) {
    if (client_send(client, data, length) != length)
        die("can't send a request at once");
}

static void wait_readable(struct client *client) {
    int only = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(only, EPOLL_CTL_ADD, client->fd, &event);
    if (epoll_wait(only, &event, 1, 10000) != 1)
        die("no answer within 10 s");
    close(only);
}

size_t client_read_head(struct client *client, char *head, size_t size) {
    size_t length = 0;
    for (;;) {
        ssize_t received = client_receive(client, head + length, size - 1 - length);
        if (received < 0 || length == size - 1)
            die("no answer to a request");
        if (received == 0)
            wait_readable(client);
        length += (size_t)received;
        head[length] = '\0';
        if (strstr(head, "\r\n\r\n"))
            return length;
    }
}

/* --- The loop --------------------------------------------------------------------------------- */

/* OpenSSL gives one record at a time, and has read more of them than epoll knows of. */
static void read_all(const struct client_events *events, struct client *client) {
    do
        events->on_readable(client);
    while (client->tls && !client->is_drained);
}

void client_run(const struct client_events *events, double seconds, const uint64_t *count,
                uint64_t until) {
    struct epoll_event ready[256];
    double end = seconds_now() + seconds, at_last = end + 5;
    uint64_t before = *count;
    while (*count < until && seconds_now() < (*count > before ? end : at_last)) {
        int n = epoll_wait(epoll, ready, 256, 100);
        for (int i = 0; i < n; i++) {
            struct client *client = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT && events->on_writable)
                events->on_writable(client);
            if (ready[i].events & ~(uint32_t)EPOLLOUT)
                read_all(events, client);
        }
    }
}

/* --- Time ------------------------------------------------------------------------------------- */

double seconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool read_file(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, size - 1, file) : 0;
    if (file)
        fclose(file);
    text[length] = '\0';
    return length > 0;
}

/* In nanoseconds, of all threads. */
static double exact_time(const char *pid) {
    char path[512], text[256];
    double sum = 0;
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *threads = opendir(path);
    for (struct dirent *thread; threads && (thread = readdir(threads));) {
        snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", pid, thread->d_name);
        if (thread->d_name[0] != '.' && read_file(path, text, sizeof text))
            sum += strtod(text, NULL);
    }
    if (threads)
        closedir(threads);
    return sum;
}

static void add_cpu(struct cpu *cpu, const char *pid) {
    char path[64], text[1024];
    unsigned long user, system;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    const char *end = read_file(path, text, sizeof text) ? strrchr(text, ')') : NULL;
    if (!end ||
        sscanf(end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        die("there is no process %s", pid);
    cpu->user += (double)user / (double)sysconf(_SC_CLK_TCK);
    cpu->system += (double)system / (double)sysconf(_SC_CLK_TCK);
    cpu->both += exact_time(pid) / 1e9;
}

struct cpu cpu_of(const char *pids) {
    struct cpu cpu = {0, 0, 0};
    char copy[256], *save = NULL;
    snprintf(copy, sizeof copy, "%s", pids);
    for (char *pid = strtok_r(copy, ",", &save); pid; pid = strtok_r(NULL, ",", &save))
        add_cpu(&cpu, pid);
    return cpu;
}

void print_result(uint64_t count, uint64_t bytes, double start, struct cpu before,
                  const char *pids) {
    double seconds = seconds_now() - start, micros = 1e6 / (double)count;
    struct cpu after = cpu_of(pids);
    if (count == 0)
        die("nothing came back");
    double user = after.user - before.user, system = after.system - before.system;
    double both = after.both > 0 ? after.both - before.both : user + system;
    double part = user + system > 0 ? user / (user + system) : 0;
    printf("{\"count\":%llu,\"seconds\":%.4f,\"bytes\":%llu,\"user_us\":%.4f,\"system_us\":%.4f}\n",
           (unsigned long long)count, seconds, (unsigned long long)bytes, both * micros * part,
           both * micros * (1 - part));
}
