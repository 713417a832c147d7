#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "complain.h"
#include "file.h"
#include "service/say.h"

enum {
    CHUNK_BYTES = 64 * 1024, /* read at a time */
    LONGEST_EVENT = sizeof(struct inotify_event) + NAME_MAX + 1,
    LOOKS = 16,                            /* for a directory that comes and goes meanwhile */
    EVENTS_A_TURN = 256,                   /* then others in the loop have theirs */
    BACKLOG_BYTES = 16384 * LONGEST_EVENT, /* read ahead and not handled: as the kernel's queue */
    CHUNKS_AHEAD = 2 * BACKLOG_BYTES / CHUNK_BYTES /* at a time: others may be faster than we */
};

/* Of the directory itself; of the one above it, which alone tells that it was removed while somebody
 * has it open, as this program does; and of whatever is above while it is not there. */
#define EVENTS_INSIDE (IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW)
#define EVENTS_BESIDE (IN_DELETE | IN_MOVED_FROM | IN_ATTRIB | IN_ONLYDIR)
#define EVENTS_ABOVE  (EVENTS_BESIDE | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)

/* A file of a route. */
struct file {
    const char *name;
    bool begins; /* a route, so that its events count */
    /* How this program left it: what looks like that was written by nobody else. */
    ino_t inode;
    off_t bytes;
    struct timespec changed;
};

struct directory {
    const struct routes *routes;
    struct directory_listener listener;
    char path[PATH_MAX]; /* without symbolic links, as it was at the start */
    int watcher;
    int folder; /* the directory; from there to a file is a short way. -1: it is gone */
    int inside; /* its watch; -1: it is gone */
    int above;  /* watch of the nearest directory above that there is */
    char *events;
    size_t at;  /* the first that was not handled, or is being handled */
    size_t end; /* of what was read */
    size_t capacity;
    bool is_paused;
    struct timespec asked;   /* when events were read last */
    struct timespec emptied; /* all that happened before was read, and handled */
    bool is_empty;           /* nothing more waited then */
    struct file files[2 * ROUTES_MAX];
    size_t file_count;
    bool is_ours; /* nobody else may put files into it */
    bool is_handling;
    bool was_told; /* why it cannot be watched although it is there */
    unsigned handles;
    uv_poll_t poll;
    uv_idle_t rest; /* runs while events were read, but not in their turn */
};

/* ---- the files ---- */

static struct file *find_file(struct directory *directory, const char *name) {
    for (size_t i = 0; i < directory->file_count; i++)
        if (strcmp(directory->files[i].name, name) == 0)
            return &directory->files[i];
    return NULL;
}

static void add_file(struct directory *directory, const struct route_end *end, bool begins) {
    if (end->kind != ROUTE_FILE)
        return;
    struct file *file = find_file(directory, end->name);
    if (file == NULL) {
        file = &directory->files[directory->file_count++];
        file->name = end->name;
    }
    file->begins = file->begins || begins;
}

static void add_files(struct directory *directory) {
    const struct routes *routes = directory->routes;
    for (size_t i = 0; i < routes->count; i++) {
        add_file(directory, &routes->items[i].when, true);
        add_file(directory, &routes->items[i].then, false);
    }
}

static void note(struct file *file, const struct stat *status) {
    file->inode = status->st_ino;
    file->bytes = status->st_size;
    file->changed = status->st_ctim;
}

static bool is_as_left(const struct file *file, const struct stat *status) {
    return file->inode == status->st_ino && file->bytes == status->st_size &&
           file->changed.tv_sec == status->st_ctim.tv_sec &&
           file->changed.tv_nsec == status->st_ctim.tv_nsec;
}

static bool is_before(const struct timespec *one, const struct timespec *other) {
    return one->tv_sec < other->tv_sec ||
           (one->tv_sec == other->tv_sec && one->tv_nsec < other->tv_nsec);
}

static bool has_changed(const struct directory *directory, const struct file *file) {
    struct stat status;
    return fstatat(directory->folder, file->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode) && !is_before(&status.st_ctim, &directory->emptied) &&
           !is_as_left(file, &status);
}

/* ---- reading events ---- */

/* Room for `bytes` more behind what was read; what was handled makes room. Moves `at`. */
static int make_room(struct directory *directory, size_t bytes) {
    if (directory->capacity - directory->end >= bytes)
        return 0;
    directory->end -= directory->at;
    if (directory->end > 0)
        memmove(directory->events, directory->events + directory->at, directory->end);
    directory->at = 0;
    if (directory->capacity - directory->end >= bytes)
        return 0;
    char *grown = realloc(directory->events, directory->end + bytes);
    if (grown == NULL)
        return -ENOMEM;
    directory->events = grown;
    directory->capacity = directory->end + bytes;
    return 0;
}

/* The clock is the one that files are stamped by; it is asked first, so that whatever is missing from
 * what is read carries a later stamp. Returns how many bytes; 0: nothing waits. */
static ssize_t read_events(struct directory *directory) {
    int error = make_room(directory, CHUNK_BYTES);
    if (error < 0)
        return error;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &directory->asked);
    ssize_t count = read(directory->watcher, directory->events + directory->end, CHUNK_BYTES);
    if (count < 0)
        count = errno == EAGAIN ? 0 : -errno;
    directory->is_empty = count >= 0 && count + LONGEST_EVENT <= CHUNK_BYTES;
    directory->end += count > 0 ? (size_t)count : 0;
    return count;
}

static struct inotify_event *event_at(const struct directory *directory, size_t at) {
    return (struct inotify_event *)(void *)(directory->events + at);
}

static size_t bytes_of(const struct inotify_event *event) {
    return sizeof *event + event->len;
}

/* As if it had happened just now, behind all that was read. */
static void pretend(struct directory *directory, uint32_t what, const char *name) {
    size_t length = (strlen(name) + sizeof(int)) / sizeof(int) * sizeof(int);
    if (make_room(directory, sizeof(struct inotify_event) + length) < 0)
        return;
    struct inotify_event *event = event_at(directory, directory->end);
    *event = (struct inotify_event){.wd = directory->inside, .mask = what, .len = (uint32_t)length};
    memcpy(event->name, name, strlen(name) + 1);
    directory->end += bytes_of(event);
}

static void look_at_all(struct directory *directory) {
    for (size_t i = 0; i < directory->file_count; i++)
        if (directory->files[i].begins && has_changed(directory, &directory->files[i]))
            pretend(directory, IN_CLOSE_WRITE, directory->files[i].name);
}

/* Reading ahead takes the kernel's bound away, so there is one here; what is lost is made good the
 * same way. The one that is being handled stays. */
static void bound_backlog(struct directory *directory) {
    if (directory->end - directory->at <= BACKLOG_BYTES)
        return;
    directory->end = directory->at;
    if (directory->is_handling)
        directory->end += bytes_of(event_at(directory, directory->at));
    pretend(directory, IN_Q_OVERFLOW, "");
}

/* ---- the directory itself comes and goes ---- */

static void forget_watch(const struct directory *directory, int *watch) {
    if (*watch >= 0)
        (void)inotify_rm_watch(directory->watcher, *watch);
    *watch = -1;
}

static void let_go(struct directory *directory) {
    forget_watch(directory, &directory->inside);
    if (directory->folder >= 0)
        (void)close(directory->folder);
    directory->folder = -1;
}

/* Where both are not of the same directory, one took the other's place in between, and the watch above
 * has that to tell. */
static int take_hold(struct directory *directory) {
    directory->inside = inotify_add_watch(directory->watcher, directory->path, EVENTS_INSIDE);
    if (directory->inside >= 0)
        directory->folder = open(directory->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory->folder >= 0)
        return 0;
    int error = -errno;
    let_go(directory);
    return error;
}

/* False where another took its name. */
static bool is_in_place(const struct directory *directory) {
    struct stat held;
    struct stat named;
    return fstat(directory->folder, &held) == 0 && lstat(directory->path, &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* Shortens the path by its last part. False where nothing is left. */
static bool go_up(char *path) {
    char *slash = strrchr(path, '/');
    if (path[1] == '\0')
        return false;
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

/* Watches the nearest directory above that there is. `path` becomes its path, `missing` that of what
 * is to be in it. */
static void watch_above(struct directory *directory, char path[PATH_MAX], char missing[PATH_MAX]) {
    memcpy(path, directory->path, PATH_MAX);
    do
        memcpy(missing, path, PATH_MAX);
    while (go_up(path) &&
           (directory->above = inotify_add_watch(directory->watcher, path, EVENTS_ABOVE)) < 0);
}

/* Where the one above is not watched, nobody would tell that this has changed. */
static void look_at_rights(struct directory *directory) {
    struct stat status;
    directory->is_ours = directory->above >= 0 && fstat(directory->folder, &status) == 0 &&
                         (status.st_uid == geteuid() || status.st_uid == 0) &&
                         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* A look may be overtaken: what is missing now may be there when the one above is watched. But one
 * above that may not be read can be there and never be watched, so there is an end to it. Returns 0, or
 * -errno where the directory is not there. */
static int attach(struct directory *directory) {
    char path[PATH_MAX];
    char missing[PATH_MAX];
    int error = -ENOENT;
    for (int i = 0; i < LOOKS; i++) {
        forget_watch(directory, &directory->above);
        watch_above(directory, path, missing);
        error = take_hold(directory);
        if (error < 0 && access(missing, X_OK) == 0)
            continue;
        if (error == 0 && directory->above >= 0)
            (void)inotify_add_watch(directory->watcher, path, EVENTS_BESIDE);
        break;
    }
    if (error == 0)
        look_at_rights(directory);
    return error;
}

/* What to type where the kernel's limits are in the way. */
static const char *hint(int error) {
    switch (error) {
    case -EMFILE:
        return "; raise fs.inotify.max_user_instances with sysctl, or ulimit -n";
    case -ENOSPC:
        return "; raise fs.inotify.max_user_watches with sysctl";
    default:
        return "";
    }
}

/* That it is missing was told when it went. */
static void tell_why_not(struct directory *directory, int error) {
    if (error == -ENOENT || error == -ENOTDIR || directory->was_told)
        return;
    directory->was_told = true;
    say(SAY_WARNING, "Directory %s is there, but cannot be watched: %s%s.", directory->path,
        strerror(-error), hint(error));
}

static void find_again(struct directory *directory) {
    int error = attach(directory);
    if (error < 0) {
        tell_why_not(directory, error);
        return;
    }
    directory->was_told = false;
    /* At once: what happens from now on is an event already. */
    look_at_all(directory);
    say(SAY_INFO, "Directory %s is back.", directory->path);
}

static void on_gone(struct directory *directory) {
    let_go(directory);
    say(SAY_WARNING, "Directory %s is gone: its files lead to nothing until it is back.",
        directory->path);
    find_again(directory);
}

/* ---- handling events ---- */

static int handle_inside(struct directory *directory, const struct inotify_event *event) {
    if ((event->mask & IN_IGNORED) != 0) {
        on_gone(directory);
        return 0;
    }
    if ((event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) == 0 || (event->mask & IN_ISDIR) != 0 ||
        event->len == 0)
        return 0;
    const struct file *file = find_file(directory, event->name);
    if (file == NULL || !file->begins)
        return 0;
    return directory->listener.on_written(directory->listener.context, event->name);
}

static void handle_above(struct directory *directory, const struct inotify_event *event) {
    const char *name = strrchr(directory->path, '/') + 1;
    if (directory->inside < 0) {
        find_again(directory);
        return;
    }
    if (event->len == 0 || strcmp(event->name, name) != 0)
        return;
    if ((event->mask & (IN_DELETE | IN_MOVED_FROM)) != 0)
        on_gone(directory);
    else
        look_at_rights(directory);
}

static int handle(struct directory *directory, const struct inotify_event *event) {
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        directory->listener.on_overflow(directory->listener.context);
        look_at_all(directory);
        /* News of the directory itself may be among what was lost. */
        if (directory->inside < 0)
            find_again(directory);
        else if (!is_in_place(directory))
            on_gone(directory);
        return 0;
    }
    if (event->wd == directory->inside)
        return handle_inside(directory, event);
    if (event->wd == directory->above)
        handle_above(directory, event);
    return 0;
}

static void handle_next(struct directory *directory) {
    /* What is read or pretended meanwhile may move all events. */
    alignas(struct inotify_event) char copy[LONGEST_EVENT];
    size_t bytes = bytes_of(event_at(directory, directory->at));
    memcpy(copy, directory->events + directory->at, bytes < sizeof copy ? bytes : sizeof copy);
    if (handle(directory, (const struct inotify_event *)(void *)copy) == -EAGAIN)
        directory->is_paused = true;
    else
        directory->at += bytes;
}

static void on_rest(uv_idle_t *idle);

static void handle_all(struct directory *directory) {
    directory->is_handling = true;
    for (int i = 0; i < EVENTS_A_TURN && directory->at < directory->end && !directory->is_paused;
         i++)
        handle_next(directory);
    directory->is_handling = false;
    if (directory->is_paused)
        (void)uv_poll_stop(&directory->poll);
    else if (directory->at < directory->end)
        (void)uv_idle_start(&directory->rest, on_rest);
    else if (directory->is_empty)
        directory->emptied = directory->asked;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct directory *directory = poll->data;
    (void)status;
    (void)events;
    if (directory->at < directory->end || read_events(directory) > 0)
        handle_all(directory);
}

static void on_rest(uv_idle_t *idle) {
    struct directory *directory = idle->data;
    (void)uv_idle_stop(idle);
    if (!directory->is_paused)
        handle_all(directory);
}

void directory_resume(struct directory *directory) {
    if (!directory->is_paused)
        return;
    directory->is_paused = false;
    (void)uv_poll_start(&directory->poll, UV_READABLE, on_readable);
    handle_all(directory);
}

/* ---- writing ---- */

/* Of the events from `from` on, the file's first is this program's own closing. */
static void strike_out(const struct directory *directory, size_t from, const char *name) {
    for (size_t at = from; at < directory->end; at += bytes_of(event_at(directory, at))) {
        struct inotify_event *event = event_at(directory, at);
        if (event->wd == directory->inside && (event->mask & IN_CLOSE_WRITE) != 0 &&
            event->len > 0 && strcmp(event->name, name) == 0) {
            event->mask = 0;
            return;
        }
    }
}

/* inotify does not say who wrote. So all that waits is read first, and again right after: in between
 * is this program's own. */
static int write_watched(struct directory *directory, struct file *file, const char *text) {
    struct stat status;
    for (int i = 0; i < CHUNKS_AHEAD && read_events(directory) > 0; i++)
        continue;
    size_t ahead = directory->end - directory->at;
    int error = file_write(directory->folder, directory->is_ours, file->name, text, &status);
    for (int i = 0; i < CHUNKS_AHEAD && read_events(directory) > 0; i++)
        continue;
    if (status.st_ino != 0) {
        note(file, &status);
        strike_out(directory, directory->at + ahead, file->name);
    }
    bound_backlog(directory);
    if (!directory->is_handling && directory->at < directory->end)
        (void)uv_idle_start(&directory->rest, on_rest);
    return error;
}

int directory_write(struct directory *directory, const char *name, const char *text) {
    struct file *file = find_file(directory, name);
    if (file == NULL)
        return -EINVAL;
    return file->begins ? write_watched(directory, file, text)
                        : file_write(directory->folder, directory->is_ours, name, text, NULL);
}

/* ---- opening and closing ---- */

static int prepare_end(const struct routes *routes, const struct route_end *end,
                       struct omni_problem *problem) {
    char path[PATH_MAX];
    if (end->kind != ROUTE_FILE)
        return 0;
    (void)snprintf(path, sizeof path, "%s/%s", routes->directory, end->name);
    struct omni_problem inner;
    int error = file_prepare(path, routes->makes_files, &inner);
    return error == 0 ? 0
                      : complain(problem, error, "%.80s: %.60s: %.110s", routes->origin, end->place,
                                 inner.text);
}

/* Said at the start, and not only by the first event; but somebody may still make the file. */
static void warn_of_end(const struct routes *routes, const struct route_end *end) {
    char path[PATH_MAX];
    struct omni_problem problem;
    if (end->kind != ROUTE_FILE)
        return;
    (void)snprintf(path, sizeof path, "%s/%s", routes->directory, end->name);
    if (file_check_writable(path, &problem) < 0)
        say(SAY_WARNING, "%s: %s: %s", routes->origin, end->place, problem.text);
}

static int complain_of_making(const struct routes *routes, struct omni_problem *problem,
                              int error) {
    if (error == -EACCES)
        return complain(problem, error,
                        "%.80s: %s: cannot make the directory: %s; type: sudo install -d -o USER "
                        "%.80s, with the relay's user",
                        routes->origin, routes->directory_place, strerror(-error),
                        routes->directory);
    return complain(problem, error, "%.80s: %s: cannot make the directory %.80s: %s%s",
                    routes->origin, routes->directory_place, routes->directory, strerror(-error),
                    file_advice(error));
}

static int prepare(const struct routes *routes, struct omni_problem *problem) {
    int error = file_make_directories(routes->directory);
    if (error < 0)
        return complain_of_making(routes, problem, error);
    for (size_t i = 0; i < routes->count && error == 0; i++) {
        error = prepare_end(routes, &routes->items[i].when, problem);
        if (error == 0)
            error = prepare_end(routes, &routes->items[i].then, problem);
        if (error == 0)
            warn_of_end(routes, &routes->items[i].then);
    }
    return error;
}

static int complain_of_watching(const struct routes *routes, int error,
                                struct omni_problem *problem) {
    return complain(problem, error, "%.80s: %s: cannot watch the directory %.80s: %s%s",
                    routes->origin, routes->directory_place, routes->directory, strerror(-error),
                    hint(error));
}

/* Links, "." and ".." are resolved once: where they lead to another directory later, nobody would be
 * told of it, and whoever may change them could make this program write elsewhere. */
static int begin_to_watch(struct directory *directory, struct omni_problem *problem) {
    const struct routes *routes = directory->routes;
    if (realpath(routes->directory, directory->path) == NULL)
        return complain_of_watching(routes, -errno, problem);
    directory->watcher = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (directory->watcher < 0)
        return complain_of_watching(routes, -errno, problem);
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &directory->emptied);
    int error = attach(directory);
    return error == 0 ? 0 : complain_of_watching(routes, error, problem);
}

int directory_open(struct directory **directory, const struct routes *routes,
                   struct omni_problem *problem) {
    struct directory *made = calloc(1, sizeof *made);
    if (made == NULL)
        return complain(problem, -ENOMEM, "out of memory");
    made->routes = routes;
    made->watcher = made->folder = made->inside = made->above = -1;
    add_files(made);
    int error = prepare(routes, problem);
    if (error == 0)
        error = begin_to_watch(made, problem);
    if (error < 0)
        directory_close(made);
    else
        *directory = made;
    return error;
}

int directory_start(struct directory *directory, uv_loop_t *loop,
                    const struct directory_listener *listener) {
    directory->listener = *listener;
    int error = uv_poll_init(loop, &directory->poll, directory->watcher);
    if (error < 0)
        return error;
    (void)uv_idle_init(loop, &directory->rest);
    directory->poll.data = directory->rest.data = directory;
    directory->handles = 2;
    return uv_poll_start(&directory->poll, UV_READABLE, on_readable);
}

static void release(struct directory *directory) {
    let_go(directory);
    if (directory->watcher >= 0)
        (void)close(directory->watcher);
    free(directory->events);
    free(directory);
}

static void on_closed(uv_handle_t *handle) {
    struct directory *directory = handle->data;
    if (--directory->handles == 0)
        release(directory);
}

void directory_close(struct directory *directory) {
    if (directory == NULL)
        return;
    if (directory->handles == 0) {
        release(directory);
        return;
    }
    uv_close((uv_handle_t *)&directory->poll, on_closed);
    uv_close((uv_handle_t *)&directory->rest, on_closed);
}
