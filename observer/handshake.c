#include "handshake.h"

#include <string.h>
#include <strings.h>

static const char white_space[] = " \t";

static bool same(const char *text, size_t length, const char *word, bool any_case) {
    if (strlen(word) != length)
        return false;
    return (any_case ? strncasecmp(text, word, length) : strncmp(text, word, length)) == 0;
}

bool handshake_list_has(const char *list, const char *word, bool any_case) {
    const char *item = list;
    while (item != NULL) {
        const char *comma = strchr(item, ',');
        item += strspn(item, white_space);
        size_t length = comma != NULL ? (size_t)(comma > item ? comma - item : 0) : strlen(item);
        while (length > 0 && strchr(white_space, item[length - 1]) != NULL)
            length--;
        if (same(item, length, word, any_case))
            return true;
        item = comma != NULL ? comma + 1 : NULL;
    }
    return false;
}

static const struct handshake_answer accepted = {101, "Switching Protocols", "", ""};
static const struct handshake_answer no_upgrade = {
    426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "this address speaks WebSocket (RFC 6455, version 13): see docs/websocket.md"};
static const struct handshake_answer no_connection = {
    400, "Bad Request", "", "an upgrade needs the header Connection: Upgrade"};
static const struct handshake_answer no_key = {400, "Bad Request", "",
                                               "an upgrade needs the header Sec-WebSocket-Key"};
static const struct handshake_answer no_protocol = {
    400, "Bad Request", "",
    "none of the subprotocols is spoken here; ask for " HANDSHAKE_PROTOCOL " or for none"};
static const struct handshake_answer full = {503, "Service Unavailable", "Retry-After: 5\r\n",
                                             "as many clients as allowed are here already"};

static struct handshake_answer refuse_access(enum access_verdict verdict) {
    static const struct handshake_answer answers[] = {
        [ACCESS_GRANTED] = {101, "Switching Protocols", "", NULL},
        [ACCESS_TWO_HOSTS] = {400, "Bad Request", "", NULL},
        [ACCESS_BAD_HOST] = {421, "Misdirected Request", "", NULL},
        [ACCESS_BAD_ORIGIN] = {403, "Forbidden", "", NULL},
        [ACCESS_NO_TOKEN] = {401, "Unauthorized", "WWW-Authenticate: Bearer\r\n", NULL},
    };
    struct handshake_answer answer = answers[verdict];
    answer.text = access_explain(verdict);
    return answer;
}

struct handshake_answer handshake_judge(const struct handshake *handshake,
                                        const struct access *access) {
    /* Not a list of them: libwebsockets would take the first, which may be HTTP/2. */
    if (handshake->upgrade == NULL || strcasecmp(handshake->upgrade, "websocket") != 0 ||
        handshake->version == NULL || strcmp(handshake->version, "13") != 0)
        return no_upgrade;
    if (!handshake_list_has(handshake->connection, "upgrade", true))
        return no_connection;
    if (handshake->key == NULL)
        return no_key;
    if (handshake->protocols != NULL &&
        !handshake_list_has(handshake->protocols, HANDSHAKE_PROTOCOL, false))
        return no_protocol;
    enum access_verdict verdict = access_check(access, &handshake->access);
    if (verdict != ACCESS_GRANTED)
        return refuse_access(verdict);
    return handshake->is_full ? full : accepted;
}
