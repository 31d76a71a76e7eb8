/*
 * Asks an HTTP server for the same thing on connections that are kept alive, or on a new one for
 * each request:
 *
 *     http_load --port 3000 --pids 1234 --connections 64 --depth 16
 *     {"count":1234567,"seconds":1.0001,"bytes":16049371,"user_us":0.31,"system_us":5.02}
 *
 * A connection sends `depth` requests at once, and the next ones when all of them are answered. The
 * first answer is looked at; the others must be a 200 of the same length with the same body. One
 * thread, which does as little as it can: the server is to be the slower one. For Linux.
 */
#define _GNU_SOURCE
#include "client.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER (16 * 1024) /* all answers that a connection may wait for */

static struct {
    int port;
    const char *path, *pids;
    size_t connections, depth, idle, requests;
    double seconds, warm_up;
    bool close, tls;
} options = {
    .path = "/",
    .pids = "",
    .connections = 64,
    .depth = 1,
    .requests = SIZE_MAX,
    .seconds = 1,
    .warm_up = 0.2,
};

struct connection {
    struct client client; /* first, so that one is the other */
    size_t missing;       /* answers */
    size_t length;        /* of what has come of them */
    char buffer[BUFFER];
};

static char *headers; /* more of the request's */
static size_t headers_length;
static char *batch; /* `depth` requests */
static size_t batch_length;

static struct {
    size_t length, head_length;
    char text[BUFFER];
} expected; /* the first answer */

static uint64_t answers;

/* --- Requests --------------------------------------------------------------------------------- */

static void make_batch(void) {
    FILE *to = open_memstream(&batch, &batch_length);
    for (size_t i = 0; i < options.depth; i++)
        fprintf(to, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s\r\n", options.path, options.port,
                options.close ? "Connection: close\r\n" : "", headers ? headers : "");
    fclose(to);
}

static void ask(struct connection *connection) {
    connection->missing = options.depth;
    connection->length = 0;
    client_write_all(&connection->client, batch, batch_length);
}

static void open_connection(struct connection *connection) {
    client_open(&connection->client);
    client_watch(&connection->client);
    ask(connection);
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* Learn what answers look like; false until there is a whole one. */
static bool learn(const char *text, size_t length) {
    const char *end = memmem(text, length, "\r\n\r\n", 4);
    if (!end)
        return false;
    size_t head_length = (size_t)(end + 4 - text);
    memcpy(expected.text, text, head_length);
    expected.text[head_length] = '\0';
    const char *field = strcasestr(expected.text, "\r\nContent-Length:");
    if (strncmp(text, "HTTP/1.1 200", 12) != 0 || !field)
        die("not the answer that was expected:\n%s", expected.text);
    size_t total = head_length + strtoul(field + 17, NULL, 10);
    if (total * options.depth > BUFFER)
        die("the answer is too long");
    if (length < total)
        return false;
    memcpy(expected.text, text, total);
    expected.head_length = head_length;
    expected.length = total;
    return true;
}

static void check(const char *text) {
    size_t head = expected.head_length;
    if (memcmp(text, "HTTP/1.1 200", 12) != 0 || memcmp(text + head - 4, "\r\n\r\n", 4) != 0 ||
        memcmp(text + head, expected.text + head, expected.length - head) != 0)
        die("an answer is not like the first one:\n%.*s", (int)expected.length, text);
}

static void on_closed(struct connection *connection) {
    if (!options.close || connection->missing > 0)
        die("the server has closed a connection");
    answers++;
    client_close(&connection->client);
    open_connection(connection);
}

static void on_readable(struct client *client) {
    struct connection *connection = (struct connection *)client;
    ssize_t received = client_receive(client, connection->buffer + connection->length,
                                      BUFFER - connection->length);
    if (received < 0) {
        on_closed(connection);
        return;
    }
    connection->length += (size_t)received;
    if (expected.length == 0 && !learn(connection->buffer, connection->length))
        return;
    size_t done = options.depth - connection->missing;
    while (connection->missing > 0 && (done + 1) * expected.length <= connection->length) {
        check(connection->buffer + done++ * expected.length);
        connection->missing--;
        if (!options.close)
            answers++;
    }
    if (connection->length > options.depth * expected.length)
        die("more than was asked for");
    if (connection->missing == 0 && !options.close)
        ask(connection);
}

/* --- Connections that have had an answer, and do nothing more -----------------------------------
 */

static struct client *open_idle(void) {
    struct client *idle = allocate(options.idle + 1, sizeof *idle);
    char *one = batch + batch_length / options.depth * (options.depth - 1), head[BUFFER];
    for (size_t i = 0; i < options.idle; i++) {
        client_open(&idle[i]);
        client_write_all(&idle[i], one, strlen(one));
        client_read_head(&idle[i], head, sizeof head);
    }
    if (options.idle > 0)
        usleep(500 * 1000); /* the kernel has timers for what was sent last */
    return idle;
}

/* --- Measuring -------------------------------------------------------------------------------- */

static void usage(void) {
    fputs("http_load --port PORT [OPTION…]\n"
          "    --path PATH       what to ask for (/)\n"
          "    --header HEADER   one more for each request\n"
          "    --connections N   (64)\n"
          "    --depth N         requests at once on each (1)\n"
          "    --close           a connection for each request\n"
          "    --idle N          so many connections more, which only stay open (0)\n"
          "    --tls\n"
          "    --seconds S       (1)\n"
          "    --warm-up S       before that (0.2)\n"
          "    --requests N      end after so many, with the warm-up\n"
          "    --pids N[,N…]     the server's processes, for their CPU time\n",
          stderr);
    exit(2);
}

static void add_header(const char *header) {
    size_t length = strlen(header);
    headers = realloc(headers, headers_length + length + 3);
    if (!headers)
        die("no memory");
    sprintf(headers + headers_length, "%s\r\n", header);
    headers_length += length + 2;
}

static void read_options(int argc, char **argv) {
    static const struct option names[] = {
        {"port", 1, NULL, 'p'},     {"path", 1, NULL, 'P'},
        {"header", 1, NULL, 'h'},   {"connections", 1, NULL, 'c'},
        {"depth", 1, NULL, 'd'},    {"close", 0, NULL, 'C'},
        {"idle", 1, NULL, 'i'},     {"tls", 0, NULL, 't'},
        {"seconds", 1, NULL, 's'},  {"warm-up", 1, NULL, 'w'},
        {"requests", 1, NULL, 'n'}, {"pids", 1, NULL, 'I'},
        {NULL, 0, NULL, 0},
    };
    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (name) {
        case 'p':
            options.port = (int)number(optarg);
            break;
        case 'P':
            options.path = optarg;
            break;
        case 'h':
            add_header(optarg);
            break;
        case 'c':
            options.connections = number(optarg);
            break;
        case 'd':
            options.depth = number(optarg);
            break;
        case 'C':
            options.close = true;
            break;
        case 'i':
            options.idle = number(optarg);
            break;
        case 't':
            options.tls = true;
            break;
        case 's':
            options.seconds = atof(optarg);
            break;
        case 'w':
            options.warm_up = atof(optarg);
            break;
        case 'n':
            options.requests = number(optarg);
            break;
        case 'I':
            options.pids = optarg;
            break;
        default:
            usage();
        }
    }
    if (!options.port || !options.depth || optind != argc || (options.close && options.depth > 1))
        usage();
}

int main(int argc, char **argv) {
    const struct client_events events = {.on_readable = on_readable};
    read_options(argc, argv);
    make_batch();
    client_setup(options.port, options.tls);
    struct client *idle = open_idle();
    struct connection *connections = allocate(options.connections, sizeof *connections);
    for (size_t i = 0; i < options.connections; i++)
        open_connection(&connections[i]);
    client_run(&events, options.warm_up, &answers, options.requests);
    struct cpu before = cpu_of(options.pids);
    double start = seconds_now();
    uint64_t warmed_up = options.requests == SIZE_MAX ? answers : 0;
    client_run(&events, options.seconds, &answers, options.requests);
    print_result(answers - warmed_up, (answers - warmed_up) * expected.length, start, before,
                 options.pids);
    for (size_t i = 0; i < options.idle; i++)
        if (client_receive(&idle[i], expected.text, BUFFER) < 0)
            die("the server has closed an idle connection meanwhile");
    return 0;
}
