/* ivshmem_test.c - the protocol as QEMU's ivshmem-spec has it, seen by clients: well-behaved, rude,
 * lazy, many */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "observer/ivshmem.h"
#include "observer/ivshmem_files.h"

enum { MEMORY_BYTES = 65536, MANY = 1000, PATIENCE_MS = 200, RIVALS = 4, RACES = 100 };
enum { DESCRIPTORS = 512, AT_ONCE = 253, NOBODY = 65534 };

struct place {
    char folder[64];
    char socket[96];
    uv_loop_t loop;
    struct ivshmem_options options;
    struct ivshmem *server;
    unsigned rung;
};

static void count_ring(void *context) {
    ((struct place *)context)->rung++;
}

static struct rlimit usual;

/* Root is not bound by the number of descriptors that are on their way. */
static void as_anybody(void) {
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    const struct rlimit few = {DESCRIPTORS, usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    /* Descriptors on their way are counted for each user: one that nobody else is, nor another run
     * of this. */
    if (geteuid() == 0)
        assert_int_equal(seteuid(NOBODY - (uid_t)getpid() % 30000), 0);
}

static void as_myself(void) {
    if (usual.rlim_cur == 0)
        return;
    assert_int_equal(seteuid(getuid()), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
}

static int set_up(void **state) {
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/omni-ivshmem-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->socket, sizeof place->socket, "%s/sock", place->folder);
    assert_int_equal(uv_loop_init(&place->loop), 0);
    place->options = (struct ivshmem_options){.socket = place->socket,
                                              .directory = place->folder,
                                              .bytes = MEMORY_BYTES,
                                              .patience_ms = PATIENCE_MS,
                                              .rung = count_ring,
                                              .context = place};
    struct omni_problem problem;
    assert_int_equal(ivshmem_open(&place->server, &place->loop, &place->options, &problem), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state) {
    struct place *place = *state;
    as_myself();
    ivshmem_close(place->server);
    (void)uv_run(&place->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&place->loop), 0);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

/* Whatever can be done now, is. */
static void settle(struct place *place) {
    for (int i = 0; i < 40; i++)
        (void)uv_run(&place->loop, UV_RUN_NOWAIT);
}

static int dial_only(const struct place *place) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, place->socket, strlen(place->socket) + 1);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(client >= 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

/* Until it is greeted, or turned away. */
static int dial(struct place *place) {
    int client = dial_only(place);
    struct pollfd wait = {.fd = client, .events = POLLIN};
    for (int i = 0; i < 5000 && poll(&wait, 1, 1) == 0; i++)
        (void)uv_run(&place->loop, UV_RUN_NOWAIT);
    settle(place);
    return client;
}

struct heard {
    int64_t number;
    int file; /* -1: none */
};

/* The next message. Returns false where there is none, or the server has hung up. */
static bool hear(int client, struct heard *heard) {
    int64_t bytes;
    struct iovec vector = {&bytes, sizeof bytes};
    union {
        struct cmsghdr head;
        unsigned char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.room};
    if (recvmsg(client, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof bytes)
        return false;
    heard->number = (int64_t)le64toh((uint64_t)bytes);
    heard->file = -1;
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head != NULL) {
        assert_int_equal(head->cmsg_type, SCM_RIGHTS);
        assert_int_equal(head->cmsg_len, CMSG_LEN(sizeof(int)));
        memcpy(&heard->file, CMSG_DATA(head), sizeof heard->file);
    }
    return true;
}

/* The next message is `number`; returns its file, which must be there if `with_file`. */
static int expect(int client, int64_t number, bool with_file) {
    struct heard heard = {0, -1};
    assert_true(hear(client, &heard));
    assert_int_equal(heard.number, number);
    assert_int_equal(heard.file >= 0, with_file);
    return heard.file;
}

static void expect_silence(int client) {
    char byte;
    assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* Reads all that is left; whether the server has hung up. */
static bool has_hung_up(int client) {
    struct heard heard = {0, -1};
    while (hear(client, &heard))
        if (heard.file >= 0)
            (void)close(heard.file);
    char byte;
    return recv(client, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

struct greeting {
    int memory;
    int observer; /* rings it */
    int others[IVSHMEM_GUESTS_MAX];
    int own;
};

/* A client that comes when `others` are there already, in order from peer 1. */
static int greeted(struct place *place, struct greeting *greeting, unsigned others) {
    int client = dial(place);
    expect(client, 0, false);
    expect(client, others + 1, false);
    greeting->memory = expect(client, -1, true);
    greeting->observer = expect(client, IVSHMEM_OWN_PEER, true);
    for (unsigned i = 0; i < others; i++)
        greeting->others[i] = expect(client, i + 1, true);
    greeting->own = expect(client, others + 1, true);
    expect_silence(client);
    return client;
}

static void forget(int client, const struct greeting *greeting, unsigned others) {
    (void)close(client);
    (void)close(greeting->memory);
    (void)close(greeting->observer);
    (void)close(greeting->own);
    for (unsigned i = 0; i < others; i++)
        (void)close(greeting->others[i]);
}

static void ring(int bell) {
    assert_int_equal(eventfd_write(bell, 1), 0);
}

static unsigned rings_of(int bell) {
    eventfd_t count = 0;
    (void)eventfd_read(bell, &count);
    return (unsigned)count;
}

static unsigned open_files(void) {
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    unsigned count = 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

/* ---- well-behaved ---- */

static void greets_and_shares_memory(void **state) {
    struct place *place = *state;
    struct greeting greeting;
    int client = greeted(place, &greeting, 0);
    struct stat status;
    assert_int_equal(fstat(greeting.memory, &status), 0);
    assert_int_equal(status.st_size, MEMORY_BYTES);

    char *guest = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, greeting.memory, 0);
    assert_ptr_not_equal(guest, MAP_FAILED);
    (void)snprintf(guest, MEMORY_BYTES, "written by a guest");
    int file = open(ivshmem_memory(place->server), O_RDONLY | O_CLOEXEC);
    char seen[32] = "";
    assert_true(read(file, seen, sizeof seen) > 0);
    assert_string_equal(seen, "written by a guest");
    (void)close(file);
    (void)munmap(guest, MEMORY_BYTES);
    forget(client, &greeting, 0);
}

static void hears_the_doorbell(void **state) {
    struct place *place = *state;
    struct greeting greeting;
    int client = greeted(place, &greeting, 0);
    ring(greeting.observer); /* before anybody listens */
    ivshmem_listen(place->server);
    settle(place);
    assert_int_equal(place->rung, 0);
    ring(greeting.observer);
    settle(place);
    assert_int_equal(place->rung, 1);
    ring(greeting.observer); /* nobody asked for another */
    settle(place);
    assert_int_equal(place->rung, 1);
    ivshmem_listen(place->server);
    ivshmem_listen(place->server);
    settle(place);
    assert_int_equal(place->rung, 1);
    ring(greeting.observer);
    settle(place);
    assert_int_equal(place->rung, 2);
    forget(client, &greeting, 0);
}

static void introduces_guests_to_each_other(void **state) {
    struct place *place = *state;
    struct greeting first;
    struct greeting second;
    int one = greeted(place, &first, 0);
    int two = greeted(place, &second, 1);
    int bell_of_two = expect(one, 2, true);
    expect_silence(one);
    assert_int_equal(ivshmem_guests(place->server), 2);

    ring(bell_of_two);
    assert_int_equal(rings_of(second.own), 1);
    ring(second.others[0]);
    assert_int_equal(rings_of(first.own), 1);
    assert_int_equal(rings_of(second.own), 0);

    forget(two, &second, 1);
    settle(place);
    expect(one, 2, false);
    assert_int_equal(ivshmem_guests(place->server), 1);
    /* Its place is free again. */
    two = greeted(place, &second, 1);
    forget(two, &second, 1);
    (void)close(bell_of_two);
    forget(one, &first, 0);
}

/* ---- not so well-behaved ---- */

static void closes_who_talks(void **state) {
    struct place *place = *state;
    struct greeting greeting;
    int good = greeted(place, &greeting, 0);
    int rude = dial(place);
    assert_int_equal(send(rude, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    settle(place);
    assert_true(has_hung_up(rude));
    int bell = expect(good, 2, true);
    expect(good, 2, false);
    (void)close(bell);
    (void)close(rude);
    ivshmem_listen(place->server);
    ring(greeting.observer);
    settle(place);
    assert_int_equal(place->rung, 1);
    forget(good, &greeting, 0);
}

static void a_thousand_leave_nothing_behind(void **state) {
    struct place *place = *state;
    settle(place);
    unsigned before = open_files();
    for (int i = 0; i < MANY; i++) {
        (void)close(dial_only(place));
        (void)uv_run(&place->loop, UV_RUN_NOWAIT);
    }
    settle(place);
    assert_int_equal(ivshmem_guests(place->server), 0);
    assert_int_equal(open_files(), before);
}

static void turns_away_who_is_too_many(void **state) {
    struct place *place = *state;
    unsigned before = open_files();
    int clients[IVSHMEM_GUESTS_MAX + 4];
    size_t count = sizeof clients / sizeof clients[0];
    for (size_t i = 0; i < count; i++)
        clients[i] = dial(place);
    assert_int_equal(ivshmem_guests(place->server), IVSHMEM_GUESTS_MAX);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(has_hung_up(clients[i]), i >= IVSHMEM_GUESTS_MAX);
    for (size_t i = 0; i < count; i++)
        (void)close(clients[i]);
    settle(place);
    assert_int_equal(ivshmem_guests(place->server), 0);
    assert_int_equal(open_files(), before);
}

/* It would have to be told of all that come and go. */
static void closes_who_never_reads(void **state) {
    struct place *place = *state;
    unsigned before = open_files();
    int lazy = dial(place);
    struct greeting greeting;
    int good = dial(place);
    expect(good, 0, false);
    expect(good, 2, false);
    greeting.memory = expect(good, -1, true);
    greeting.observer = expect(good, IVSHMEM_OWN_PEER, true);
    greeting.others[0] = expect(good, 1, true);
    greeting.own = expect(good, 2, true);
    bool lazy_is_gone = false;
    for (int i = 0; i < MANY && !lazy_is_gone; i++) {
        int other = dial(place);
        (void)close(other);
        settle(place);
        for (struct heard heard; hear(good, &heard);) {
            lazy_is_gone |= heard.number == 1 && heard.file < 0;
            if (heard.file >= 0)
                (void)close(heard.file);
        }
    }
    assert_true(lazy_is_gone);
    assert_int_equal(ivshmem_guests(place->server), 1);
    ivshmem_listen(place->server);
    ring(greeting.observer);
    settle(place);
    assert_int_equal(place->rung, 1);
    forget(good, &greeting, 1);
    (void)close(lazy);
    settle(place);
    assert_int_equal(open_files(), before);
}

/* ---- what cannot be told now is told later ---- */

/* Who is there, as a client was told. Returns the number of messages. */
static unsigned keep_up(int client, bool there[IVSHMEM_GUESTS_MAX + 1]) {
    unsigned count = 0;
    for (struct heard heard; hear(client, &heard); count++) {
        if (heard.number >= 0 && heard.number <= IVSHMEM_GUESTS_MAX)
            there[heard.number] = heard.file >= 0;
        if (heard.file >= 0)
            (void)close(heard.file);
    }
    return count;
}

static void who_reads_late_hears_the_newest(void **state) {
    struct place *place = *state;
    place->options.patience_ms = 600000;
    ivshmem_close(place->server);
    (void)uv_run(&place->loop, UV_RUN_DEFAULT);
    struct omni_problem problem;
    assert_int_equal(ivshmem_open(&place->server, &place->loop, &place->options, &problem), 0);

    bool there[IVSHMEM_GUESTS_MAX + 1] = {false};
    enum { VISITS = 200 };
    int late = dial(place);
    for (int i = 0; i < VISITS; i++)
        (void)close(dial(place));
    int stays = dial(place);
    assert_int_equal(ivshmem_guests(place->server), 2);
    unsigned count = 0;
    for (int i = 0; i < 5000 && !there[2]; i++) {
        count += keep_up(late, there);
        usleep(1000);
        settle(place);
    }
    assert_true(there[1] && there[2]);
    for (unsigned i = 3; i <= IVSHMEM_GUESTS_MAX; i++)
        assert_false(there[i]);
    /* Not all of that fits into its queue: else nothing was late here. */
    assert_in_range(count, 50, 2 * VISITS);
    assert_int_equal(ivshmem_guests(place->server), 2);
    (void)close(late);
    (void)close(stays);
}

/* Two ends of nobody, between which descriptors are on their way: more than anybody may have. */
static void send_too_many(int ends[2]) {
    static int files[AT_ONCE];
    static union {
        struct cmsghdr head;
        unsigned char room[CMSG_SPACE(sizeof files)];
    } control;
    char byte = 0;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.room};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    for (size_t i = 0; i < AT_ONCE; i++)
        files[i] = ends[0];
    control.head = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof files), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.head), files, sizeof files);
    for (int i = 0; i <= DESCRIPTORS / AT_ONCE; i++)
        assert_int_equal(sendmsg(ends[0], &message, 0), 1);
}

static void run_for(struct place *place, int milliseconds) {
    for (int i = 0; i < milliseconds; i++) {
        usleep(1000);
        (void)uv_run(&place->loop, UV_RUN_NOWAIT);
    }
}

/* The kernel refuses for a while: nobody here is to blame, so nobody is dropped. */
static void drops_nobody_for_want_of_descriptors(void **state) {
    struct place *place = *state;
    struct greeting greeting;
    struct heard heard;
    int ends[2];
    int good = greeted(place, &greeting, 0);
    run_for(place, 50); /* the next one may be admitted */
    int client = dial_only(place);
    send_too_many(ends);
    as_anybody();
    run_for(place, PATIENCE_MS / 2);
    expect(client, 0, false);
    expect(client, 2, false);
    expect_silence(client);
    expect_silence(good); /* it is not greeted yet */
    assert_int_equal(ivshmem_guests(place->server), 2);
    run_for(place, 2 * PATIENCE_MS);

    (void)close(ends[0]);
    (void)close(ends[1]);
    bool told = false;
    for (int i = 0; i < 5000 && !told; i++) {
        run_for(place, 1);
        told = hear(good, &heard);
    }
    assert_true(told);
    assert_int_equal(heard.number, 2);
    (void)close(heard.file);
    (void)close(expect(client, -1, true));
    (void)close(expect(client, IVSHMEM_OWN_PEER, true));
    (void)close(expect(client, 1, true));
    (void)close(expect(client, 2, true));
    expect_silence(client);
    as_myself();
    (void)close(client);
    forget(good, &greeting, 0);
}

/* What the server says of a machine that went before it was greeted. */
static void says_who_could_not_be_greeted(void **state) {
    struct place *place = *state;
    int ends[2];
    char said[512] = "";
    int client = dial_only(place);
    send_too_many(ends);
    as_anybody();
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    int usual_stderr = dup(STDERR_FILENO);
    (void)dup2(pipes[1], STDERR_FILENO);
    run_for(place, 50);
    (void)close(client);
    run_for(place, 50);
    (void)dup2(usual_stderr, STDERR_FILENO);
    assert_true(read(pipes[0], said, sizeof said - 1) > 0);
    assert_non_null(strstr(said, "machine 1 is told later: too many descriptors"));
    assert_non_null(strstr(said, "machine 1 could not be greeted"));
    assert_null(strstr(said, "has connected"));
    assert_int_equal(ivshmem_guests(place->server), 0);
    (void)close(usual_stderr);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void steal(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    assert_int_equal(rings_of(*(int *)poll->data), 1);
}

/* The eventfd is shared with its flags: a guest must not be able to make the observer wait, by
 * taking away the ring that the loop has just been told of. */
static void does_not_wait_for_a_bell_made_blocking(void **state) {
    struct place *place = *state;
    struct greeting greeting;
    int client = greeted(place, &greeting, 0);
    assert_int_equal(fcntl(greeting.observer, F_SETFL, 0), 0);
    int earlier = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uv_poll_t thief = {.data = &greeting.observer};
    assert_int_equal(uv_poll_init(&place->loop, &thief, earlier), 0);
    assert_int_equal(uv_poll_start(&thief, UV_READABLE, steal), 0);
    ivshmem_listen(place->server);
    settle(place);

    (void)alarm(20); /* rather dead than hanging */
    ring(earlier);
    ring(greeting.observer);
    (void)uv_run(&place->loop, UV_RUN_NOWAIT);
    (void)uv_poll_stop(&thief);
    assert_int_equal(place->rung, 0);
    ring(greeting.observer);
    settle(place);
    assert_int_equal(place->rung, 1);
    (void)alarm(0);
    uv_close((uv_handle_t *)&thief, NULL);
    settle(place);
    (void)close(earlier);
    forget(client, &greeting, 0);
}

/* ---- files ---- */

static int reopen(struct place *place) {
    struct omni_problem problem;
    ivshmem_close(place->server);
    (void)uv_run(&place->loop, UV_RUN_DEFAULT);
    place->server = NULL;
    return ivshmem_open(&place->server, &place->loop, &place->options, &problem);
}

static void nobody_else_may_connect_or_look(void **state) {
    struct place *place = *state;
    struct stat status;
    assert_int_equal(stat(place->socket, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(ivshmem_memory(place->server), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void the_memory_outlives_the_server(void **state) {
    struct place *place = *state;
    int file = open(ivshmem_memory(place->server), O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(file, "still here", 10, 100), 10);
    assert_int_equal(reopen(place), 0);
    char seen[11] = "";
    struct greeting greeting;
    int client = greeted(place, &greeting, 0);
    assert_int_equal(pread(greeting.memory, seen, 10, 100), 10);
    assert_string_equal(seen, "still here");
    forget(client, &greeting, 0);
    (void)close(file);

    place->options.bytes *= 2;
    assert_int_equal(reopen(place), 0);
    struct stat status;
    assert_int_equal(stat(ivshmem_memory(place->server), &status), 0);
    assert_int_equal(status.st_size, 2 * MEMORY_BYTES);
}

static void refuses_a_place_that_is_taken(void **state) {
    struct place *place = *state;
    struct ivshmem *second = NULL;
    struct omni_problem problem;
    assert_int_equal(ivshmem_open(&second, &place->loop, &place->options, &problem), -EADDRINUSE);
    assert_non_null(strstr(problem.text, "another server answers at"));
    assert_null(second);

    struct ivshmem_options options = place->options;
    char path[sizeof place->socket];
    (void)snprintf(path, sizeof path, "%s/file", place->folder);
    options.socket = path;
    (void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(ivshmem_open(&second, &place->loop, &options, &problem), -EEXIST);
    assert_non_null(strstr(problem.text, "is in the way, and no socket"));
    assert_int_equal(access(path, F_OK), 0);
}

static void leave_a_dead_ones(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(left, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(left);
}

static void takes_the_place_of_a_dead_server(void **state) {
    struct place *place = *state;
    ivshmem_close(place->server);
    (void)uv_run(&place->loop, UV_RUN_DEFAULT);
    place->server = NULL;
    assert_int_not_equal(access(place->socket, F_OK), 0);
    leave_a_dead_ones(place->socket);
    struct omni_problem problem;
    assert_int_equal(ivshmem_open(&place->server, &place->loop, &place->options, &problem), 0);
    struct greeting greeting;
    forget(greeted(place, &greeting, 0), &greeting, 0);
}

/* Tries to get the place when `start` ends; says in `said` whether it has it, and has it until `end`
 * ends. */
static _Noreturn void compete(const char *path, int start, int said, int end) {
    struct ivshmem_socket mine = IVSHMEM_SOCKET_CLOSED;
    struct omni_problem problem;
    char byte;
    if (read(start, &byte, 1) != 0)
        _exit(1);
    int error = ivshmem_socket_open(&mine, path, &problem);
    byte = error == 0 ? 'y' : error == -EADDRINUSE ? 'n' : '?';
    if (write(said, &byte, 1) != 1 || read(end, &byte, 1) != 0)
        _exit(1);
    ivshmem_socket_close(&mine);
    _exit(0);
}

static void race(const struct place *place, const char *path) {
    int start[2] = {-1, -1};
    int said[2] = {-1, -1};
    int end[2] = {-1, -1};
    assert_true(pipe(start) == 0 && pipe(said) == 0 && pipe(end) == 0);
    for (int i = 0; i < RIVALS; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(start[1]);
            (void)close(end[1]);
            compete(path, start[0], said[1], end[0]);
        }
    }
    (void)close(start[1]);
    unsigned winners = 0;
    for (int i = 0; i < RIVALS; i++) {
        char byte = '?';
        assert_int_equal(read(said[0], &byte, 1), 1);
        assert_int_not_equal(byte, '?');
        winners += byte == 'y';
    }
    assert_int_equal(winners, 1);
    struct place there = *place;
    memcpy(there.socket, path, strlen(path) + 1);
    (void)close(dial_only(&there));
    (void)close(end[1]);
    for (int i = 0; i < RIVALS; i++)
        assert_true(wait(NULL) > 0);
    assert_int_not_equal(access(path, F_OK), 0);
    const int rest[] = {start[0], said[0], said[1], end[0]};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        (void)close(rest[i]);
}

static void of_several_that_start_at_once_one_has_the_place(void **state) {
    struct place *place = *state;
    char path[sizeof place->socket];
    (void)snprintf(path, sizeof path, "%s/raced", place->folder);
    for (int i = 0; i < RACES; i++) {
        leave_a_dead_ones(path);
        race(place, path);
    }
}

static void does_not_remove_anothers_socket(void **state) {
    struct place *place = *state;
    struct ivshmem_socket first = IVSHMEM_SOCKET_CLOSED;
    struct ivshmem_socket second = IVSHMEM_SOCKET_CLOSED;
    struct omni_problem problem;
    char path[sizeof place->socket];
    (void)snprintf(path, sizeof path, "%s/shared", place->folder);
    assert_int_equal(ivshmem_socket_open(&first, path, &problem), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ivshmem_socket_open(&second, path, &problem), 0);
    ivshmem_socket_close(&first);
    assert_int_equal(access(path, F_OK), 0);
    ivshmem_socket_close(&second);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void does_not_wait_for_a_locked_folder_for_ever(void **state) {
    struct place *place = *state;
    struct ivshmem_socket made = IVSHMEM_SOCKET_CLOSED;
    struct omni_problem problem;
    char path[sizeof place->socket];
    (void)snprintf(path, sizeof path, "%s/locked", place->folder);
    int folder = open(place->folder, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(folder, LOCK_EX), 0);
    assert_int_equal(ivshmem_socket_open(&made, path, &problem), -EBUSY);
    assert_non_null(strstr(problem.text, "keeps the folder of"));
    (void)close(folder);
    assert_int_equal(ivshmem_socket_open(&made, path, &problem), 0);
    ivshmem_socket_close(&made);
}

/* The name of the memory of a socket in the place's folder, without that folder. */
static const char *name_of(const struct place *place, const char *socket, char name[512]) {
    char path[OMNI_PATH_BYTES];
    char full[256];
    struct omni_problem problem;
    (void)snprintf(full, sizeof full, "%s/%s", place->folder, socket);
    int file = ivshmem_memory_open(path, place->folder, full, MEMORY_BYTES, &problem);
    assert_true(file >= 0);
    (void)close(file);
    (void)snprintf(name, 512, "%s", path + strlen(place->folder));
    return name;
}

static void each_socket_has_a_memory_of_its_own(void **state) {
    struct place *place = *state;
    char one[512];
    char other[512];
    char expected[512];
    char command[512];
    (void)snprintf(command, sizeof command, "cd %s && mkdir a a_ a- && ln -s a link",
                   place->folder);
    assert_int_equal(system(command), 0);
    static const char *const sockets[] = {"a/b",  "a-b",  "a_b",  "a__b", "a_/b", "a/_b",
                                          "a--b", "a-/b", "a/-b", "a_-b", "a-_b"};
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(name_of(place, sockets[i], one),
                                    name_of(place, sockets[j], other));
    /* However it is written. */
    assert_string_equal(name_of(place, "a/b", one), name_of(place, "link/../a//b", other));
    assert_string_equal(name_of(place, "a/b", one), name_of(place, "link/b", other));
    /* Readable: /tmp/omni-ivshmem-XXXXXX/a/b. */
    (void)snprintf(expected, sizeof expected, "/omni-ivshmem.tmp-omni_-ivshmem_-%s-a-b",
                   strrchr(place->folder, '-') + 1);
    assert_string_equal(one, expected);
    /* The longest socket is not too long. */
    char longest[108];
    size_t length = sizeof longest - 1 - strlen(place->folder) - 1;
    memset(longest, '-', length);
    longest[length] = '\0';
    assert_true(strlen(name_of(place, longest, one)) <= 256);
}

static void says_which_sizes_there_are(void **state) {
    struct place *place = *state;
    struct ivshmem_options options = place->options;
    char path[sizeof place->socket];
    (void)snprintf(path, sizeof path, "%s/other", place->folder);
    options.socket = path;
    static const size_t wrong[] = {0, 2048, 65537, 3 << 20};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ivshmem *second = NULL;
        struct omni_problem problem;
        options.bytes = wrong[i];
        assert_int_equal(ivshmem_open(&second, &place->loop, &options, &problem), -EINVAL);
        assert_non_null(strstr(problem.text, "power of two"));
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(greets_and_shares_memory),
        TEST(hears_the_doorbell),
        TEST(introduces_guests_to_each_other),
        TEST(closes_who_talks),
        TEST(a_thousand_leave_nothing_behind),
        TEST(turns_away_who_is_too_many),
        TEST(closes_who_never_reads),
        TEST(does_not_wait_for_a_bell_made_blocking),
        TEST(nobody_else_may_connect_or_look),
        TEST(the_memory_outlives_the_server),
        TEST(refuses_a_place_that_is_taken),
        TEST(takes_the_place_of_a_dead_server),
        TEST(says_which_sizes_there_are),
        TEST(who_reads_late_hears_the_newest),
        TEST(drops_nobody_for_want_of_descriptors),
        TEST(says_who_could_not_be_greeted),
        TEST(of_several_that_start_at_once_one_has_the_place),
        TEST(does_not_remove_anothers_socket),
        TEST(does_not_wait_for_a_locked_folder_for_ever),
        TEST(each_socket_has_a_memory_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
