/*
 * Talks to a WebSocket server: each socket sends a message, waits until it comes back, and sends
 * the next one; or one socket sends, and all of them, itself included, wait for it:
 *
 *     ws_load --port 3000 --path /echo --pids 1234 --connections 64 --size 32
 *     {"count":123456,"seconds":1.0001,"bytes":3950592,"user_us":0.31,"system_us":5.02}
 *
 * Every byte that comes back is compared. `count` and `bytes` are of the messages received. The
 * frames are made beforehand, masked with a key that never changes, which a real client must not
 * do: the server is to be the slower one. One thread. For Linux.
 */
#define _GNU_SOURCE
#include "client.h"
#include "ws_frames.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_SIZE (512 * 1024)

static struct {
    int port;
    const char *path, *pids;
    size_t connections, depth, size, messages;
    double seconds, warm_up;
    enum payload payload;
    bool broadcast, deflate, tls;
} options = {
    .path = "/echo",
    .pids = "",
    .connections = 64,
    .depth = 1,
    .size = 32,
    .messages = SIZE_MAX,
    .seconds = 1,
    .warm_up = 0.2,
};

struct connection {
    struct client client;    /* first, so that one is the other */
    uint64_t sent, may_send; /* messages: whole ones sent, and so far it may go */
    size_t offset;           /* of the message that is being sent */
    uint64_t received;       /* whole messages */
    struct frame_reader reader;
};

static struct frames *frames;
static struct connection *connections;
static size_t *missing; /* by number of the message % depth: who has not got it yet */
static uint64_t everybody_has;
static uint64_t messages; /* that were received */

/* --- Sending ---------------------------------------------------------------------------------- */

static void send_more(struct connection *connection) {
    while (connection->sent < connection->may_send) {
        size_t first = connection->sent % frames->count;
        size_t end = first + connection->may_send - connection->sent;
        const uint8_t *from = frames->starts[first] + connection->offset;
        size_t length = (size_t)(frames->starts[end < frames->count ? end : frames->count] - from);
        size_t sent = client_send(&connection->client, from, length);
        connection->offset += sent;
        while (connection->sent < connection->may_send &&
               connection->offset >= frame_length(frames, connection->sent)) {
            connection->offset -= frame_length(frames, connection->sent);
            connection->sent++;
        }
        if (sent < length)
            break;
    }
    client_watch_write(&connection->client, connection->sent < connection->may_send);
}

static void on_writable(struct client *client) {
    send_more((struct connection *)client);
}

/* --- Receiving -------------------------------------------------------------------------------- */

/* The one that has sent it may go on when everybody has it. */
static void on_broadcast_message(struct connection *connection) {
    size_t slot = (connection->received - 1) % options.depth;
    if (--missing[slot] > 0)
        return;
    missing[slot] = options.connections;
    everybody_has++;
    connections[0].may_send = everybody_has + options.depth;
}

static void on_message(struct connection *connection) {
    connection->received++;
    messages++;
    if (options.broadcast)
        on_broadcast_message(connection);
    else
        connection->may_send = connection->received + options.depth;
}

static void on_readable(struct client *client) {
    static uint8_t buffer[READ_SIZE];
    struct connection *connection = (struct connection *)client;
    ssize_t length = client_receive(client, buffer, READ_SIZE);
    if (length < 0)
        die("the server has closed a socket");
    for (size_t used = 0; used < (size_t)length;) {
        bool whole;
        used += frame_read(&connection->reader, frames, connection->received, buffer + used,
                           (size_t)length - used, &whole);
        if (whole)
            on_message(connection);
    }
    struct connection *sender = options.broadcast ? &connections[0] : connection;
    if (sender->sent < sender->may_send)
        send_more(sender);
}

/* --- Handshakes ------------------------------------------------------------------------------- */

static void shake_hands(struct connection *connection) {
    char request[1024], head[4096];
    int length =
        snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                 options.path, options.port,
                 options.deflate ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
    if (length >= (int)sizeof request)
        die("the path is too long");
    client_write_all(&connection->client, request, (size_t)length);
    length = (int)client_read_head(&connection->client, head, sizeof head);
    if (strncmp(head, "HTTP/1.1 101", 12) != 0 || !strcasestr(head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        die("the handshake was refused:\n%s", head);
    const char *extension = strcasestr(head, "permessage-deflate");
    if (!extension != !options.deflate || (extension && strcasestr(extension, "client_no_context")))
        die("not the compression that was expected:\n%s", head);
    if (strcmp(head + length - 4, "\r\n\r\n") != 0)
        die("more than was expected behind a handshake");
}

static void open_connections(void) {
    connections = allocate(options.connections, sizeof *connections);
    for (size_t i = 0; i < options.connections; i++) {
        client_open(&connections[i].client);
        shake_hands(&connections[i]);
        frame_reader_init(&connections[i].reader, options.deflate);
        client_watch(&connections[i].client);
    }
    missing = allocate(options.depth, sizeof *missing);
    for (size_t i = 0; i < options.depth; i++)
        missing[i] = options.connections;
    for (size_t i = 0; i < (options.broadcast ? 1 : options.connections); i++) {
        connections[i].may_send = options.depth;
        send_more(&connections[i]);
    }
}

/* --- Measuring -------------------------------------------------------------------------------- */

static void usage(void) {
    fputs("ws_load --port PORT [OPTION…]\n"
          "    --path PATH      (/echo)\n"
          "    --broadcast      one sends, and everybody gets it\n"
          "    --connections N  (64)\n"
          "    --depth N        messages on their way at once, of each that sends (1)\n"
          "    --size N         bytes a message (32)\n"
          "    --text, --json   what they are (binary)\n"
          "    --deflate        by permessage-deflate, with context takeover\n"
          "    --tls\n"
          "    --seconds S      (1)\n"
          "    --warm-up S      before that (0.2)\n"
          "    --messages N     end after so many, with the warm-up\n"
          "    --pids N[,N…]    the server's processes, for their CPU time\n",
          stderr);
    exit(2);
}

static void read_options(int argc, char **argv) {
    static const struct option names[] = {
        {"port", 1, NULL, 'p'},        {"path", 1, NULL, 'P'},    {"broadcast", 0, NULL, 'b'},
        {"connections", 1, NULL, 'c'}, {"depth", 1, NULL, 'd'},   {"size", 1, NULL, 'z'},
        {"text", 0, NULL, 'x'},        {"json", 0, NULL, 'j'},    {"deflate", 0, NULL, 'D'},
        {"tls", 0, NULL, 't'},         {"seconds", 1, NULL, 's'}, {"warm-up", 1, NULL, 'w'},
        {"messages", 1, NULL, 'n'},    {"pids", 1, NULL, 'I'},    {NULL, 0, NULL, 0},
    };
    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (name) {
        case 'p':
            options.port = (int)number(optarg);
            break;
        case 'P':
            options.path = optarg;
            break;
        case 'b':
            options.broadcast = true;
            break;
        case 'c':
            options.connections = number(optarg);
            break;
        case 'd':
            options.depth = number(optarg);
            break;
        case 'z':
            options.size = number(optarg);
            break;
        case 'x':
            options.payload = PAYLOAD_TEXT;
            break;
        case 'j':
            options.payload = PAYLOAD_JSON;
            break;
        case 'D':
            options.deflate = true;
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
            options.messages = number(optarg);
            break;
        case 'I':
            options.pids = optarg;
            break;
        default:
            usage();
        }
    }
    if (!options.port || !options.depth || !options.size || !options.connections || optind != argc)
        usage();
}

int main(int argc, char **argv) {
    const struct client_events events = {.on_readable = on_readable, .on_writable = on_writable};
    read_options(argc, argv);
    frames = frames_new(options.payload, options.size, options.deflate);
    client_setup(options.port, options.tls);
    open_connections();
    client_run(&events, options.warm_up, &messages, options.messages);
    struct cpu before = cpu_of(options.pids);
    double start = seconds_now();
    uint64_t warmed_up = options.messages == SIZE_MAX ? messages : 0;
    client_run(&events, options.seconds, &messages, options.messages);
    print_result(messages - warmed_up, (messages - warmed_up) * options.size, start, before,
                 options.pids);
    return 0;
}
