#include "protocols/http1_head.h"

#include "protocols/status.h"
#include "runtime/decimal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Everything but the headers of the caller: status line, Date, Connection, Keep-Alive, the end. */
#define FIXED_SIZE 256

static char *put(char *at, const char *data, size_t n) {
    memcpy(at, data, n);
    return at + n;
}

#define PUT_LITERAL(at, literal) put((at), (literal), sizeof(literal) - 1)

static char *put_headers(char *at, const struct headers *headers) {
    const struct header *header = headers->list;
    for (unsigned left = headers->count; left > 0; left--, header++) {
        at = put(at, header->name, header->name_length);
        at = PUT_LITERAL(at, ": ");
        at = put(at, header->value, header->value_length);
        at = PUT_LITERAL(at, "\r\n");
    }
    return at;
}

static size_t headers_size(const struct headers *headers) {
    const struct header *header = headers->list;
    size_t size = headers->count * strlen(": \r\n");
    for (unsigned left = headers->count; left > 0; left--, header++)
        size += header->name_length + header->value_length;
    return size;
}

/* As nearly all are; strcmp would take five times as long. */
static bool is_ok(const struct response_head *head) {
    const char *message = head->message;
    return head->status == 200 && message[0] == 'O' && message[1] == 'K' && message[2] == '\0';
}

static char *put_status_line(char *at, int status, const char *message, size_t length) {
    at = PUT_LITERAL(at, "HTTP/1.1 ");
    at += write_decimal(at, (uint64_t)status);
    *at++ = ' ';
    at = put(at, message, length);
    return PUT_LITERAL(at, "\r\n");
}

int http1_write_head(struct connection *connection, const struct response_head *head,
                     const struct http1_framing *framing) {
    const struct headers *headers = head->headers;
    bool ok = is_ok(head);
    size_t message_length = ok ? 2 : strlen(head->message);
    char *start =
        connection_reserve(connection, FIXED_SIZE + message_length + headers_size(headers));
    if (!start)
        return connection->error == UV_ENOMEM ? UV_ENOMEM : UV_EPIPE;
    char *at = ok ? PUT_LITERAL(start, "HTTP/1.1 200 OK\r\n")
                  : put_status_line(start, head->status, head->message, message_length);
    at = put_headers(at, headers);
    if (!head->bare && !headers_get(headers, "Date")) {
        at = PUT_LITERAL(at, "Date: ");
        at = put(at, loop_date(connection->loop), 29);
        at = PUT_LITERAL(at, "\r\n");
    }
    if (!head->bare && !headers_get(headers, "Connection"))
        at = put(at, framing->connection, framing->connection_length);
    if (framing->chunked)
        at = PUT_LITERAL(at, "Transfer-Encoding: chunked\r\n");
    at = PUT_LITERAL(at, "\r\n");
    connection_commit(connection, (size_t)(at - start));
    return 0;
}

int http1_write_bare(struct connection *connection, int status) {
    char text[128];
    int n = snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\nConnection: close\r\n\r\n", status,
                     status_phrase(status));
    return connection_write(connection, text, (size_t)n);
}
