/* A directory that the kernel tells of: what others write, what this program writes, and bad days.
 * The files are real, and so are the events; nothing here waits for a time, only for what was caused
 * already. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/config.h"
#include "relay/directory.h"
#include "tests/unit/skip.h"

enum { SEEN_MAX = 32 };

/* A directory of a test's own, with what was told of it. */
struct place {
    char folder[64];
    char config[1024];
    uv_loop_t loop;
    struct routes routes;
    struct directory *directory;
    struct omni_problem problem;
    unsigned count;          /* of events */
    char seen[SEEN_MAX + 1]; /* the newest of them: each file has a name of one letter */
    unsigned overflows;
    unsigned refusals;  /* so many events are answered with -EAGAIN */
    const char *answer; /* each event is answered by writing this file */
    unsigned flood;     /* and so many times others write b meanwhile */
};

static const char *path_of(const struct place *place, const char *name) {
    static char paths[2][128];
    static int turn;
    turn = !turn;
    (void)snprintf(paths[turn], sizeof paths[turn], "%s/in/%s", place->folder, name);
    return paths[turn];
}

static void put(const struct place *place, const char *name, const char *text) {
    int file = open(path_of(place, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    (void)close(file);
}

static int on_written(void *context, const char *name) {
    struct place *place = context;
    if (place->refusals > 0) {
        place->refusals--;
        return -EAGAIN;
    }
    size_t length = strlen(place->seen);
    if (length == SEEN_MAX)
        memmove(place->seen, place->seen + 1, length--);
    place->seen[length] = name[0];
    place->seen[length + 1] = '\0';
    assert_in_range(++place->count, 1, 100000);
    for (unsigned i = 0; i < place->flood; i++) {
        put(place, "z", "1");
        put(place, "b", "1");
    }
    if (place->answer != NULL)
        assert_int_equal(directory_write(place->directory, place->answer, "answer"), 0);
    return 0;
}

static void on_overflow(void *context) {
    struct place *place = context;
    place->overflows++;
}

/* All that has happened so far is told. */
static void settle(struct place *place) {
    for (int i = 0; i < 64; i++)
        (void)uv_run(&place->loop, UV_RUN_NOWAIT);
}

/* The events since the last call, a letter each. */
static const char *seen(struct place *place) {
    static char last[SEEN_MAX + 1];
    settle(place);
    memcpy(last, place->seen, sizeof last);
    place->seen[0] = '\0';
    return last;
}

static void holds(const struct place *place, const char *name, const char *text) {
    char held[128] = "";
    int file = open(path_of(place, name), O_RDONLY);
    assert_true(file >= 0);
    assert_true(read(file, held, sizeof held - 1) >= 0);
    (void)close(file);
    assert_string_equal(held, text);
}

/* a and b begin routes, c is written only. */
static int open_place(void **state) {
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/dev/shm/omni-relay-test-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->config, sizeof place->config,
                   "{\"directory\": \"%s/in\", \"routes\": ["
                   "{\"when\": {\"file\": \"a\"}, \"then\": {\"frame\": \"f\"}},"
                   "{\"when\": {\"file\": \"b\"}, \"then\": {\"frame\": \"f\"}},"
                   "{\"when\": {\"frame\": \"g\"}, \"then\": {\"file\": \"c\", \"text\": \"1\"}}]}",
                   place->folder);
    assert_int_equal(config_parse(&place->routes, place->config, strlen(place->config),
                                  "relay.json", &place->problem),
                     0);
    assert_int_equal(uv_loop_init(&place->loop), 0);
    *state = place;
    return 0;
}

static void begin(struct place *place) {
    const struct directory_listener listener = {
        .context = place, .on_written = on_written, .on_overflow = on_overflow};
    if (directory_open(&place->directory, &place->routes, &place->problem) < 0)
        fail_msg("%s", place->problem.text);
    assert_int_equal(directory_start(place->directory, &place->loop, &listener), 0);
}

static int close_place(void **state) {
    struct place *place = *state;
    char command[96];
    directory_close(place->directory);
    (void)uv_run(&place->loop, UV_RUN_DEFAULT);
    int error = uv_loop_close(&place->loop);
    routes_free(&place->routes);
    (void)snprintf(command, sizeof command, "rm -rf %s", place->folder);
    error = system(command) == 0 ? error : -1; /* NOLINT: a name of our own */
    free(place);
    return error;
}

/* ---- what others do ---- */

static void closing_after_writing_is_an_event(void **state) {
    struct place *place = *state;
    begin(place);
    put(place, "a", "1");
    put(place, "b", "1");
    put(place, "a", "2");
    put(place, "c", "1");
    put(place, "z", "1");
    assert_string_equal(seen(place), "aba");
    int file = open(path_of(place, "a"), O_WRONLY);
    assert_int_equal(write(file, "3", 1), 1);
    assert_string_equal(seen(place), "");
    (void)close(file);
    (void)close(open(path_of(place, "b"), O_RDONLY));
    assert_string_equal(seen(place), "a");
}

static void files_may_be_deleted_replaced_and_renamed(void **state) {
    struct place *place = *state;
    begin(place);
    put(place, "a", "1");
    assert_int_equal(unlink(path_of(place, "a")), 0);
    put(place, "a", "2");
    assert_string_equal(seen(place), "a"); /* twice, coalesced: nothing else came in between */
    assert_int_equal(rename(path_of(place, "a"), path_of(place, "z")), 0);
    put(place, "z", "3");
    assert_string_equal(seen(place), "");
    put(place, "a", "4");
    assert_string_equal(seen(place), "a");
    assert_int_equal(rename(path_of(place, "z"), path_of(place, "a")), 0);
    assert_string_equal(seen(place), "a");
    put(place, "a", "5");
    assert_string_equal(seen(place), "a");
}

static void a_hard_link_is_an_event_once_it_is_closed(void **state) {
    struct place *place = *state;
    begin(place);
    put(place, "z", "1");
    assert_int_equal(link(path_of(place, "z"), path_of(place, "a")), 0);
    assert_string_equal(seen(place), "");
    put(place, "a", "2");
    assert_string_equal(seen(place), "a");
}

static void others_directories_and_pipes_are_no_files(void **state) {
    struct place *place = *state;
    begin(place);
    assert_int_equal(mkdir(path_of(place, "z"), 0700), 0);
    assert_int_equal(rename(path_of(place, "z"), path_of(place, "a")), 0);
    assert_string_equal(seen(place), "");
    assert_int_equal(directory_write(place->directory, "a", "1"), -EISDIR);
    assert_int_equal(mkfifo(path_of(place, "c"), 0600), 0);
    assert_int_equal(directory_write(place->directory, "c", "1"), -ENXIO);
    int reader = open(path_of(place, "c"), O_RDONLY | O_NONBLOCK);
    assert_int_equal(directory_write(place->directory, "c", "1"), -EINVAL);
    (void)close(reader);
    assert_int_equal(unlink(path_of(place, "c")), 0);
    put(place, "victim", "safe");
    assert_int_equal(symlink("victim", path_of(place, "c")), 0);
    assert_int_equal(directory_write(place->directory, "c", "1"), -ELOOP);
    holds(place, "victim", "safe");
}

/* Others may put files into the directory from now on. */
static void share(struct place *place) {
    assert_int_equal(chmod(path_of(place, ""), 0777), 0);
    settle(place);
}

/* A file that the relay may write, and should not: it is only called so here. */
static void hard_links_to_others_files_are_left_alone(void **state) {
    struct place *place = *state;
    char victim[96];
    struct stat status;
    (void)snprintf(victim, sizeof victim, "%s/victim", place->folder);
    int file = open(victim, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(file, "safe", 4), 4);
    (void)close(file);
    begin(place);
    share(place);
    assert_int_equal(link(victim, path_of(place, "c")), 0);
    assert_int_equal(link(victim, path_of(place, "a")), 0);
    assert_int_equal(directory_write(place->directory, "c", "1"), -EMLINK);
    assert_int_equal(directory_write(place->directory, "a", "1"), -EMLINK);
    holds(place, "c", "safe");
    place->routes.makes_files = true;
    struct directory *second = NULL;
    assert_int_equal(directory_open(&second, &place->routes, &place->problem), -EMLINK);
    assert_int_equal(stat(victim, &status), 0);
    assert_int_equal(status.st_size, 4);
    assert_int_equal(unlink(path_of(place, "a")), 0);
    assert_int_equal(unlink(path_of(place, "c")), 0);
    assert_int_equal(unlink(victim), 0);
    assert_int_equal(directory_write(place->directory, "c", "1"), 0);
}

/* One that says "no space" to whoever writes to it, as he then did. */
static void devices_are_not_written_to(void **state) {
    struct place *place = *state;
    begin(place);
    share(place);
    if (mknod(path_of(place, "c"), S_IFCHR | 0666, makedev(1, 7)) < 0)
        SKIP_BECAUSE("needs root");
    int error = directory_write(place->directory, "c", "1");
    if (error == -EACCES)
        SKIP_BECAUSE("this file system may not make a device");
    assert_int_equal(error, -EINVAL);
}

/* Somebody else's lease on a file is his affair; it must not look like a wait for room to send, which
 * nobody would end. */
static void a_lease_is_an_error_like_others(void **state) {
    struct place *place = *state;
    int told[2];
    char byte;
    begin(place);
    put(place, "c", "1");
    assert_int_equal(pipe(told), 0);
    pid_t holder = fork();
    if (holder == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGIO, SIG_IGN);
        int file = open(path_of(place, "c"), O_RDWR);
        byte = fcntl(file, F_SETLEASE, F_WRLCK) == 0 ? 'y' : 'n';
        (void)!write(told[1], &byte, 1);
        (void)pause();
        _exit(0);
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    int error = directory_write(place->directory, "c", "2");
    (void)kill(holder, SIGKILL);
    (void)waitpid(holder, NULL, 0);
    (void)close(told[0]);
    (void)close(told[1]);
    assert_int_equal(byte, 'y');
    assert_int_equal(error, -EBUSY);
    assert_int_equal(directory_write(place->directory, "c", "3"), 0);
    holds(place, "c", "3");
}

/* ---- what this program does ---- */

static void writing_replaces_the_text(void **state) {
    struct place *place = *state;
    struct stat before;
    struct stat after;
    begin(place);
    assert_int_equal(directory_write(place->directory, "c", "1"), 0);
    holds(place, "c", "1");
    assert_int_equal(stat(path_of(place, "c"), &before), 0);
    assert_int_equal(directory_write(place->directory, "c", "longer"), 0);
    holds(place, "c", "longer");
    assert_int_equal(directory_write(place->directory, "c", "short"), 0);
    holds(place, "c", "short");
    assert_int_equal(stat(path_of(place, "c"), &after), 0);
    assert_true(before.st_ino == after.st_ino);
    assert_int_equal(chmod(path_of(place, "c"), 0400), 0);
    if (geteuid() != 0)
        assert_int_equal(directory_write(place->directory, "c", "x"), -EACCES);
}

static void own_writing_is_no_event(void **state) {
    struct place *place = *state;
    begin(place);
    for (int i = 0; i < 100; i++)
        assert_int_equal(directory_write(place->directory, "a", i % 2 == 0 ? "0" : "10"), 0);
    assert_string_equal(seen(place), "");
    put(place, "a", "1");
    assert_int_equal(directory_write(place->directory, "a", "2"), 0);
    put(place, "a", "3");
    assert_int_equal(directory_write(place->directory, "a", "4"), 0);
    assert_string_equal(seen(place), "aa");
    assert_int_equal(directory_write(place->directory, "a", "5"), 0);
    put(place, "a", "6");
    put(place, "b", "7");
    assert_int_equal(directory_write(place->directory, "b", "8"), 0);
    assert_int_equal(directory_write(place->directory, "a", "9"), 0);
    assert_string_equal(seen(place), "ab");
}

static void answering_an_event_with_a_file_of_a_route_is_none(void **state) {
    struct place *place = *state;
    begin(place);
    place->answer = "b";
    for (int i = 0; i < 3; i++) {
        put(place, "a", "1");
        put(place, "b", "1");
    }
    assert_string_equal(seen(place), "ababab");
    assert_string_equal(seen(place), "");
    holds(place, "b", "answer");
}

static void a_failed_own_writing_is_no_event_either(void **state) {
    struct place *place = *state;
    struct rlimit before;
    begin(place);
    put(place, "a", "");
    (void)seen(place);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, before.rlim_max}), 0);
    int error = directory_write(place->directory, "a", "no room");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(error, -EFBIG);
    assert_string_equal(seen(place), "");
}

static void events_wait_while_nobody_takes_them(void **state) {
    struct place *place = *state;
    begin(place);
    place->refusals = 1;
    put(place, "a", "1");
    put(place, "b", "1");
    assert_string_equal(seen(place), "");
    put(place, "a", "2");
    assert_string_equal(seen(place), "");
    place->refusals = 1;
    directory_resume(place->directory);
    assert_string_equal(seen(place), "");
    directory_resume(place->directory);
    assert_string_equal(seen(place), "aba");
    directory_resume(place->directory);
    assert_string_equal(seen(place), "");
}

/* ---- bad days ---- */

static unsigned queue_length(void) {
    unsigned length = 0;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%u", &length), 1); /* NOLINT: the kernel's number */
    (void)fclose(file);
    return length;
}

static void lost_events_are_made_good_by_looking(void **state) {
    struct place *place = *state;
    unsigned most = queue_length();
    if (most > 100000)
        SKIP_BECAUSE("fs.inotify.max_queued_events is too large to be reached here");
    begin(place);
    put(place, "b", "1");
    assert_string_equal(seen(place), "b");
    /* Files are stamped by a clock that goes in steps; b's is to be of one that is over. */
    (void)usleep(20000);
    put(place, "z", "1");
    settle(place);
    for (unsigned i = 0; i < most; i++)
        put(place, i % 2 == 0 ? "c" : "z", "1");
    put(place, "a", "lost");
    assert_string_equal(seen(place), "a");
    assert_int_equal(place->overflows, 1);
    assert_int_equal(place->count, 2);
    put(place, "b", "2");
    assert_string_equal(seen(place), "b");
}

static void looking_finds_no_own_writing(void **state) {
    struct place *place = *state;
    unsigned most = queue_length();
    if (most > 100000)
        SKIP_BECAUSE("fs.inotify.max_queued_events is too large to be reached here");
    begin(place);
    assert_int_equal(directory_write(place->directory, "a", "own"), 0);
    for (unsigned i = 0; i < most; i++)
        put(place, i % 2 == 0 ? "c" : "z", "1");
    put(place, "b", "theirs");
    assert_string_equal(seen(place), "b");
    assert_int_equal(place->overflows, 1);
}

/* Others write faster than this program answers; that it reads ahead must keep it neither from its
 * other work (each turn of the loop ends) nor need ever more memory. */
static void a_flood_is_bounded_and_others_have_their_turn(void **state) {
    struct place *place = *state;
    begin(place);
    place->answer = "a";
    place->flood = 100;
    put(place, "b", "1");
    for (int turn = 0; turn < 1000 && place->overflows == 0; turn++) {
        unsigned before = place->count;
        (void)uv_run(&place->loop, UV_RUN_NOWAIT);
        assert_in_range(place->count - before, 1, 256);
    }
    assert_int_equal(place->overflows, 1);
    place->flood = 0;
    for (unsigned before = place->count + 1; before != place->count;) {
        before = place->count;
        settle(place);
    }
    (void)seen(place);
    put(place, "b", "2");
    assert_string_equal(seen(place), "b");
    put(place, "a", "2");
    assert_string_equal(seen(place), "a");
}

static void a_directory_that_comes_back_is_watched_again(void **state) {
    struct place *place = *state;
    char outer[96];
    begin(place);
    put(place, "a", "1");
    assert_string_equal(seen(place), "a");
    assert_int_equal(unlink(path_of(place, "a")), 0);
    assert_int_equal(rmdir(path_of(place, "")), 0);
    assert_string_equal(seen(place), "");
    assert_int_equal(directory_write(place->directory, "a", "1"), -ENOENT);
    assert_int_equal(mkdir(path_of(place, ""), 0700), 0);
    put(place, "a", "before it is watched");
    assert_string_equal(seen(place), "a");
    put(place, "b", "after");
    assert_string_equal(seen(place), "b");
    (void)snprintf(outer, sizeof outer, "%s/moved", place->folder);
    assert_int_equal(rename(path_of(place, ""), outer), 0);
    assert_string_equal(seen(place), "");
    assert_int_equal(rename(outer, path_of(place, "")), 0);
    settle(place);
    (void)seen(place);
    put(place, "a", "again");
    assert_string_equal(seen(place), "a");
}

static void a_directory_that_goes_while_events_are_lost_is_missed(void **state) {
    struct place *place = *state;
    unsigned most = queue_length();
    char away[96];
    if (most > 100000)
        SKIP_BECAUSE("fs.inotify.max_queued_events is too large to be reached here");
    begin(place);
    for (unsigned i = 0; i < most; i++)
        put(place, i % 2 == 0 ? "c" : "z", "1");
    (void)snprintf(away, sizeof away, "%s/away", place->folder);
    assert_int_equal(rename(path_of(place, ""), away), 0);
    assert_int_equal(mkdir(path_of(place, ""), 0700), 0);
    settle(place);
    put(place, "a", "1");
    assert_string_equal(seen(place), "a");
    assert_int_equal(place->overflows, 1);
}

static void become(struct place *place, const char *directory) {
    free(place->routes.directory);
    place->routes.directory = strdup(directory);
}

/* Were it watched under such a name, its going would be nobody's news. */
static void links_and_dots_in_the_path_are_resolved_at_the_start(void **state) {
    struct place *place = *state;
    char path[128];
    char real[80];
    (void)snprintf(real, sizeof real, "%s/real", place->folder);
    (void)snprintf(path, sizeof path, "%s/link/./..//real/.", place->folder);
    assert_int_equal(mkdir(real, 0700), 0);
    assert_int_equal(mkdir(path_of(place, ""), 0700), 0);
    become(place, path);
    (void)snprintf(path, sizeof path, "%s/link", place->folder);
    assert_int_equal(symlink("in", path), 0);
    begin(place);
    (void)snprintf(path, sizeof path, "%s/real/a", place->folder);
    (void)close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_string_equal(seen(place), "a");
    assert_int_equal(directory_write(place->directory, "c", "1"), 0);
    (void)snprintf(path, sizeof path, "rm -r %s", real);
    assert_int_equal(system(path), 0); /* NOLINT: a name of our own */
    settle(place);
    assert_int_equal(mkdir(real, 0700), 0);
    settle(place);
    (void)snprintf(path, sizeof path, "%s/a", real);
    (void)close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_string_equal(seen(place), "a");
}

static void a_link_in_the_place_of_the_directory_is_not_followed(void **state) {
    struct place *place = *state;
    char other[80];
    char away[80];
    struct stat status;
    begin(place);
    (void)snprintf(other, sizeof other, "%s/other", place->folder);
    (void)snprintf(away, sizeof away, "%s/away", place->folder);
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(rename(path_of(place, ""), away), 0);
    (void)snprintf(away, sizeof away, "%s/in", place->folder);
    assert_int_equal(symlink("other", away), 0);
    settle(place);
    assert_int_equal(directory_write(place->directory, "c", "1"), -ENOENT);
    assert_int_equal(stat(path_of(place, "c"), &status), -1);
    put(place, "a", "1");
    assert_string_equal(seen(place), "");
    assert_int_equal(unlink(away), 0);
    assert_int_equal(mkdir(away, 0700), 0);
    settle(place);
    put(place, "a", "1");
    assert_string_equal(seen(place), "a");
}

static bool set(const char *file, const char *text) {
    int opened = open(file, O_WRONLY | O_CLOEXEC);
    bool was_set = opened >= 0 && write(opened, text, strlen(text)) == (ssize_t)strlen(text);
    (void)close(opened);
    return was_set;
}

/* In a user namespace of its own, whose limits are its own, too. Standard error goes to `told`. */
static void run_out_of_watches(struct place *place, int told) {
    if (unshare(CLONE_NEWUSER) < 0 || !set("/proc/self/uid_map", "0 0 1") ||
        !set("/proc/sys/user/max_inotify_watches", "1"))
        _exit(77);
    (void)dup2(told, STDERR_FILENO);
    int error = directory_open(&place->directory, &place->routes, &place->problem);
    (void)fprintf(stderr, "%s.\n", place->problem.text);
    if (error != -ENOSPC || !set("/proc/sys/user/max_inotify_watches", "2"))
        _exit(1);
    begin(place);
    (void)set("/proc/sys/user/max_inotify_watches", "1");
    for (int i = 0; i < 2; i++) {
        (void)rmdir(path_of(place, ""));
        settle(place);
        (void)mkdir(path_of(place, ""), 0700);
        settle(place);
    }
    _exit(0);
}

static void a_lack_of_watches_is_told_with_its_remedy(void **state) {
    struct place *place = *state;
    int told[2];
    int status = 0;
    char said[2048] = "";
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    if (child == 0)
        run_out_of_watches(place, told[1]);
    (void)waitpid(child, &status, 0);
    (void)close(told[1]);
    assert_true(read(told[0], said, sizeof said - 1) >= 0);
    (void)close(told[0]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP_BECAUSE("no user namespace with limits of its own here");
    assert_int_equal(status, 0);
    const char *refused = "No space left on device; raise fs.inotify.max_user_watches with sysctl.";
    const char *first = strstr(said, refused);
    const char *second = strstr(said, "/in is there, but cannot be watched: No space");
    assert_non_null(first);
    assert_non_null(second);
    assert_null(strstr(second + 1, "/in is there, but"));
}

static void all_directories_above_may_go_and_come(void **state) {
    struct place *place = *state;
    char away[96];
    begin(place);
    (void)snprintf(away, sizeof away, "%s.away", place->folder);
    assert_int_equal(rmdir(path_of(place, "")), 0);
    settle(place);
    assert_int_equal(rename(place->folder, away), 0);
    settle(place);
    assert_int_equal(mkdir(place->folder, 0700), 0);
    settle(place);
    assert_int_equal(mkdir(path_of(place, ""), 0700), 0);
    settle(place);
    put(place, "a", "1");
    assert_string_equal(seen(place), "a");
    assert_int_equal(rmdir(away), 0);
}

static void what_is_in_the_way_is_told_with_its_place(void **state) {
    struct place *place = *state;
    char said[256];
    assert_int_equal(mkdir(path_of(place, ""), 0700), 0);
    assert_int_equal(mkdir(path_of(place, "c"), 0700), 0);
    assert_int_equal(directory_open(&place->directory, &place->routes, &place->problem), -EINVAL);
    (void)snprintf(said, sizeof said,
                   "relay.json: routes[2].then.file: %s/in/c is no plain file: remove it",
                   place->folder);
    assert_string_equal(place->problem.text, said);
    assert_int_equal(rmdir(path_of(place, "c")), 0);
    assert_int_equal(rmdir(path_of(place, "")), 0);
    (void)snprintf(said, sizeof said, "%s/in", place->folder);
    (void)close(open(said, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(directory_open(&place->directory, &place->routes, &place->problem), -ENOTDIR);
    (void)snprintf(said, sizeof said,
                   "relay.json: directory: cannot watch the directory %s/in: Not a directory",
                   place->folder);
    assert_string_equal(place->problem.text, said);
    assert_null(place->directory);
}

static void files_are_made_empty_where_the_routes_say_so(void **state) {
    struct place *place = *state;
    place->routes.makes_files = true;
    assert_int_equal(mkdir(path_of(place, ""), 0700), 0);
    put(place, "c", "from another life");
    begin(place);
    holds(place, "a", "");
    holds(place, "b", "");
    holds(place, "c", "");
    assert_string_equal(seen(place), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_place, close_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(closing_after_writing_is_an_event),
        TEST(files_may_be_deleted_replaced_and_renamed),
        TEST(a_hard_link_is_an_event_once_it_is_closed),
        TEST(others_directories_and_pipes_are_no_files),
        TEST(hard_links_to_others_files_are_left_alone),
        TEST(devices_are_not_written_to),
        TEST(a_lease_is_an_error_like_others),
        TEST(writing_replaces_the_text),
        TEST(own_writing_is_no_event),
        TEST(answering_an_event_with_a_file_of_a_route_is_none),
        TEST(a_failed_own_writing_is_no_event_either),
        TEST(events_wait_while_nobody_takes_them),
        TEST(lost_events_are_made_good_by_looking),
        TEST(looking_finds_no_own_writing),
        TEST(a_flood_is_bounded_and_others_have_their_turn),
        TEST(a_directory_that_comes_back_is_watched_again),
        TEST(a_directory_that_goes_while_events_are_lost_is_missed),
        TEST(links_and_dots_in_the_path_are_resolved_at_the_start),
        TEST(a_link_in_the_place_of_the_directory_is_not_followed),
        TEST(a_lack_of_watches_is_told_with_its_remedy),
        TEST(all_directories_above_may_go_and_come),
        TEST(what_is_in_the_way_is_told_with_its_place),
        TEST(files_are_made_empty_where_the_routes_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
