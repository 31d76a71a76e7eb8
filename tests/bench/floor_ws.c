/*
 * The least that a WebSocket echo, or a broadcast, can cost: an epoll loop that unmasks whole
 * frames where they were received, writes the answer's head over the mask, and sends once for each
 * read. No checks, no fragments, no close handshake.
 */
#define _GNU_SOURCE
#include "floor.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MEMBERS 65536

static struct floor_client *members[MAX_MEMBERS];
static size_t member_count;

/* --- Handshakes ------------------------------------------------------------------------------- */

static bool shake_hands(struct floor_client *client, const char *request, size_t length) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char joined[24 + sizeof guid], answer[256];
    unsigned char digest[SHA_DIGEST_LENGTH], accept[32];
    const char *key = memmem(request, length, "Sec-WebSocket-Key: ", 19);
    if (!key || (size_t)(key + 19 + 24 - request) > length)
        return false;
    memcpy(joined, key + 19, 24);
    memcpy(joined + 24, guid, sizeof guid);
    SHA1((unsigned char *)joined, sizeof joined - 1, digest);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
    client->is_socket = true;
    if (length > 14 && memcmp(request, "GET /broadcast", 14) == 0 && member_count < MAX_MEMBERS) {
        client->is_member = true;
        client->index = member_count;
        members[member_count++] = client;
    }
    floor_send(client, answer, (size_t)size);
    return true;
}

static void leave(struct floor_client *client) {
    if (!client->is_member)
        return;
    members[client->index] = members[--member_count];
    members[client->index]->index = client->index;
}

/* --- Frames ----------------------------------------------------------------------------------- */

/* The length of the head without the mask, and in `*payload` that of what comes behind; 0: not
 * there yet. */
static size_t read_head(const unsigned char *frame, size_t length, size_t *payload) {
    if (length < 2)
        return 0;
    *payload = frame[1] & 127;
    size_t head = *payload == 126 ? 4 : *payload == 127 ? 10 : 2;
    if (length < head)
        return 0;
    if (head == 4)
        *payload = (size_t)frame[2] << 8 | frame[3];
    if (head == 10) {
        uint64_t number;
        memcpy(&number, frame + 2, 8);
        *payload = (size_t)__builtin_bswap64(number);
    }
    return head;
}

static void unmask(unsigned char *data, size_t length, const unsigned char *key) {
    uint32_t key4;
    uint64_t word;
    size_t i = 0;
    memcpy(&key4, key, 4);
    uint64_t key8 = (uint64_t)key4 << 32 | key4;
    for (; i + 8 <= length; i += 8) {
        memcpy(&word, data + i, 8);
        word ^= key8;
        memcpy(data + i, &word, 8);
    }
    for (; i < length; i++)
        data[i] ^= (unsigned char)(key4 >> i % 4 * 8);
}

/* Answers all whole frames; returns how many bytes they were. The answers end up side by side,
 * since each is four bytes shorter than what it answers. */
static size_t answer_frames(struct floor_client *client, unsigned char *data, size_t length) {
    unsigned char *answers = NULL, *end = NULL;
    size_t used = 0, payload, head;
    while ((head = read_head(data + used, length - used, &payload)) > 0 &&
           length - used >= head + 4 + payload) {
        unsigned char *frame = data + used, *content = frame + head + 4, copy[10];
        unmask(content, payload, frame + head);
        memcpy(copy, frame, head);
        copy[1] &= 127;
        memcpy(content - head, copy, head);
        if (!answers)
            answers = end = content - head;
        else
            memmove(end, content - head, head + payload);
        end += head + payload;
        used += head + 4 + payload;
    }
    if (!answers)
        return used;
    if (!client->is_member)
        floor_send(client, (char *)answers, (size_t)(end - answers));
    for (size_t i = 0; client->is_member && i < member_count; i++)
        floor_send(members[i], (char *)answers, (size_t)(end - answers));
    return used;
}

static void keep_rest(struct floor_client *client, const char *data, size_t length) {
    client->input = realloc(client->input, client->input_length + length);
    if (!client->input)
        abort();
    memcpy(client->input + client->input_length, data, length);
    client->input_length += length;
}

static bool on_data(struct floor_client *client, char *data, size_t length) {
    if (!client->is_socket)
        return shake_hands(client, data, length);
    bool is_rest = client->input_length > 0;
    if (is_rest) {
        keep_rest(client, data, length);
        data = client->input;
        length = client->input_length;
    }
    size_t used = answer_frames(client, (unsigned char *)data, length);
    if (is_rest) {
        client->input_length -= used;
        memmove(client->input, client->input + used, client->input_length);
    } else if (used < length) {
        keep_rest(client, data + used, length - used);
    }
    return true;
}

int main(void) {
    floor_on_close = leave;
    return floor_serve(on_data);
}
