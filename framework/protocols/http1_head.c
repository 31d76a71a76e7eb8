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
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        at = put(at, header->name, header->name_length);
        at = PUT_LITERAL(at, ": ");
        at = put(at, header->value, header->value_length);
        at = PUT_LITERAL(at, "\r\n");
    }
    return at;
}

static size_t headers_size(const struct headers *headers) {
    size_t size = 0;
    for (uint32_t i = 0; i < headers->count; i++)
        size += headers->list[i].name_length + headers->list[i].value_length + 4;
    return size;
}

static char *put_status_line(char *at, int status, const char *message, size_t length) {
    if (status == 200 && strcmp(message, "OK") == 0)
        return PUT_LITERAL(at, "HTTP/1.1 200 OK\r\n"); /* as nearly all */
    at = PUT_LITERAL(at, "HTTP/1.1 ");
    at += write_decimal(at, (uint64_t)status);
    *at++ = ' ';
    at = put(at, message, length);
    return PUT_LITERAL(at, "\r\n");
}

static char *put_connection(char *at, const struct http1_framing *framing) {
    if (!framing->keep_alive)
        return PUT_LITERAL(at, "Connection: close\r\n");
    at = PUT_LITERAL(at, "Connection: keep-alive\r\nKeep-Alive: timeout=");
    at += write_decimal(at, framing->keep_alive_seconds);
    return PUT_LITERAL(at, "\r\n");
}

int http1_write_head(struct connection *connection, const struct response_head *head,
                     const struct http1_framing *framing, bool *chunked) {
    const struct headers *headers = head->headers;
    size_t message_length = strlen(head->message);
    char *start =
        connection_reserve(connection, FIXED_SIZE + message_length + headers_size(headers));
    if (!start)
        return connection->error == UV_ENOMEM ? UV_ENOMEM : UV_EPIPE;
    char *at = put_status_line(start, head->status, head->message, message_length);
    at = put_headers(at, headers);
    if (!head->bare && !headers_get(headers, "Date")) {
        at = PUT_LITERAL(at, "Date: ");
        at = put(at, loop_date(connection->loop), 29);
        at = PUT_LITERAL(at, "\r\n");
    }
    if (!head->bare && !headers_get(headers, "Connection"))
        at = put_connection(at, framing);
    *chunked = head->kind == BODY_STREAM && !framing->http_1_0;
    if (*chunked)
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
