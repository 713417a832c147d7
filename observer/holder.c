#include "holder.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "door.h"

/* ---- addresses ---- */

/* One form for both protocols: an address of IPv4 is one of ::ffff:0:0/96. */
struct place {
    struct in6_addr address;
    in_port_t port; /* of this machine's byte order */
};

static void map_v4(struct in6_addr *address, uint32_t network_order) {
    *address = (struct in6_addr){.s6_addr = {[10] = 0xFF, [11] = 0xFF}};
    memcpy(&address->s6_addr[12], &network_order, sizeof network_order);
}

static bool place_of(struct place *place, const char *listen) {
    struct sockaddr_storage address;
    if (!door_parse(listen, &address))
        return false;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
        map_v4(&place->address, v4->sin_addr.s_addr);
        place->port = ntohs(v4->sin_port);
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
        place->address = v6->sin6_addr;
        place->port = ntohs(v6->sin6_port);
    }
    return true;
}

/* As the kernel prints it: words of 32 bits, each as this machine reads it. */
static bool place_printed(struct place *place, const char *word) {
    uint32_t parts[4];
    char digits[9] = "";
    size_t length = strcspn(word, ":");
    if ((length != 8 && length != 32) || word[length] != ':')
        return false;
    for (size_t i = 0; i < length / 8; i++) {
        memcpy(digits, word + i * 8, 8);
        parts[i] = (uint32_t)strtoul(digits, NULL, 16);
    }
    if (length == 8)
        map_v4(&place->address, parts[0]);
    else
        memcpy(&place->address, parts, sizeof place->address);
    place->port = (in_port_t)strtoul(word + length + 1, NULL, 16);
    return true;
}

static bool is_v4(const struct in6_addr *address) {
    return IN6_IS_ADDR_V4MAPPED(address);
}

static bool is_every(const struct in6_addr *address) {
    static const struct in6_addr v4 = {.s6_addr = {[10] = 0xFF, [11] = 0xFF}};
    return IN6_IS_ADDR_UNSPECIFIED(address) || memcmp(address, &v4, sizeof v4) == 0;
}

/* How much a socket stands in the way of one that is wanted; 0: not at all. The socket of [::] may
 * be one for IPv4, too. */
static unsigned weigh(const struct place *has, const struct place *wanted) {
    bool is_same_family = is_v4(&has->address) == is_v4(&wanted->address);
    if (has->port != wanted->port)
        return 0;
    if (memcmp(&has->address, &wanted->address, sizeof has->address) == 0)
        return 4;
    if (is_same_family && is_every(&has->address))
        return 3;
    if (is_same_family && is_every(&wanted->address))
        return 2;
    return IN6_IS_ADDR_UNSPECIFIED(&has->address) ? 1 : 0;
}

/* ---- sockets ---- */

struct listener {
    unsigned weight;
    unsigned long inode;
    uid_t user;
};

/* A line of the kernel's list: sl local remote state tx:rx tr:when retransmits uid timeout inode */
static void take_line(struct listener *best, char *line, const struct place *wanted) {
    enum { LOCAL = 1, STATE = 3, USER = 7, INODE = 9, WORDS = 10, LISTENING = 0x0A };
    char *words[WORDS];
    char *rest = line;
    struct place has;
    for (int i = 0; i < WORDS; i++)
        if ((words[i] = strtok_r(rest, " \n", &rest)) == NULL)
            return;
    if (strtoul(words[STATE], NULL, 16) != LISTENING || !place_printed(&has, words[LOCAL]))
        return;
    unsigned weight = weigh(&has, wanted);
    if (weight > best->weight)
        *best = (struct listener){.weight = weight,
                                  .inode = strtoul(words[INODE], NULL, 10),
                                  .user = (uid_t)strtoul(words[USER], NULL, 10)};
}

static void take_list(struct listener *best, const char *path, const struct place *wanted) {
    char line[512];
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        take_line(best, line, wanted);
    if (file != NULL)
        (void)fclose(file);
}

/* ---- processes ---- */

static bool has_open(const char *process, const char *socket) {
    char path[PATH_MAX];
    char target[64];
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%s/fd", process);
    DIR *folder = opendir(path);
    struct dirent *entry = NULL;
    while (folder != NULL && !found && (entry = readdir(folder)) != NULL) {
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        found = strcmp(target, socket) == 0;
    }
    if (folder != NULL)
        (void)closedir(folder);
    return found;
}

static void name_process(struct holder *holder, const char *process) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "/proc/%s/comm", process);
    FILE *file = fopen(path, "re");
    if (file != NULL && fgets(holder->name, sizeof holder->name, file) != NULL)
        holder->name[strcspn(holder->name, "\n")] = '\0';
    if (file != NULL)
        (void)fclose(file);
    holder->process = (pid_t)strtol(process, NULL, 10);
}

static void find_process(struct holder *holder, unsigned long inode) {
    char socket[48];
    (void)snprintf(socket, sizeof socket, "socket:[%lu]", inode);
    DIR *processes = opendir("/proc");
    struct dirent *entry = NULL;
    while (processes != NULL && holder->process == 0 && (entry = readdir(processes)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) && has_open(entry->d_name, socket))
            name_process(holder, entry->d_name);
    if (processes != NULL)
        (void)closedir(processes);
}

bool holder_find(struct holder *holder, const char *listen) {
    struct listener best = {.weight = 0};
    struct place wanted;
    if (!place_of(&wanted, listen))
        return false;
    take_list(&best, "/proc/net/tcp", &wanted);
    take_list(&best, "/proc/net/tcp6", &wanted);
    if (best.weight == 0)
        return false;
    *holder = (struct holder){.user = best.user};
    find_process(holder, best.inode);
    return true;
}
