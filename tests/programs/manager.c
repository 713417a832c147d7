/*
 * manager - a service manager's ear: what programs say to $NOTIFY_SOCKET
 *
 *     manager PATH
 *
 * Binds a datagram socket at PATH, says "listening", and then writes each datagram as a line: who
 * sent it (as the kernel says: a manager believes nobody else), and its text, newlines as '|'.
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <signal.h>

static int listen_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int made = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (made < 0 || strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    if (setsockopt(made, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)) < 0 ||
        bind(made, (const struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    return made;
}

static long sender(struct msghdr *message) {
    struct cmsghdr *part = CMSG_FIRSTHDR(message);
    struct ucred who = {.pid = -1};
    if (part != NULL && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS)
        memcpy(&who, CMSG_DATA(part), sizeof who);
    return who.pid;
}

static ssize_t hear(int socket, char *text, size_t bytes, long *from) {
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec piece = {.iov_base = text, .iov_len = bytes - 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t length = recvmsg(socket, &message, 0);
    *from = sender(&message);
    text[length > 0 ? length : 0] = '\0';
    return length;
}

int main(int count, char **arguments) {
    char text[512];
    long from;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int socket = count == 2 ? listen_at(arguments[1]) : -1;
    if (socket < 0) {
        perror("manager");
        return 1;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    (void)puts("listening");
    while (hear(socket, text, sizeof text, &from) >= 0) {
        for (char *c = text; *c != '\0'; c++)
            if (*c == '\n')
                *c = '|';
        (void)printf("%ld %s\n", from, text);
    }
    return 1;
}
