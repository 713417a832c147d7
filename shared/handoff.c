#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <omni/handoff.h>
#include <omni/lock.h>
#include <omni/region.h>
#include <omni/segment.h>

#include "atomics.h"
#include "futex.h"
#include "problem.h"

#define MAGIC          "OMNIHAND"
#define LAYOUT_VERSION 1u

/* One of these lies within the 100 ms that the header promises, with a fifth of them left for the end
 * of the other process and for our turn to run. Each look wakes us, which costs up to 0.08 ms of
 * processor time under an emulator (docs/adr/0012-handoff.md): shorter ones would cost more than a
 * thousandth of a core. */
#define BETWEEN_LOOKS_NS 80000000u

/* How often opening tries where another process is just replacing the file or holding the place for
 * a moment (a predecessor that dies, a withdrawal). */
enum { OPEN_TRIES = 10 };
#define BETWEEN_TRIES_NS 2000000

/* Bytes of the file that are locked. Byte 0 is left to omni_lock_take(). */
static const unsigned lock_of[] = {[OMNI_HANDOFF_ASKER] = 1, [OMNI_HANDOFF_ANSWERER] = 2};

/* A line for each side: who writes its own does not take the other's away. */
struct words {
    uint8_t magic[8];
    uint32_t layout_version; /* stored last */
    uint32_t byte_order;
    uint32_t memory_offset;
    uint32_t memory_bytes;
    uint8_t reserved_head[40];
    uint32_t asked; /* number of the newest request: the asker writes, the answerer sleeps on it */
    uint8_t reserved_asked[60];
    uint32_t answered; /* number of the request answered last: the other way round */
    uint8_t reserved_answered[60];
};

static_assert(offsetof(struct words, asked) == 64 && offsetof(struct words, answered) == 128 &&
                  sizeof(struct words) == 192,
              "shared/README.md tells these offsets");

struct omni_handoff {
    struct words *words;
    size_t size;
    int file;
    enum omni_handoff_side side;
    uint32_t memory_bytes;
    uint32_t number; /* answerer: of the request that is its turn */
    bool is_nameless;
    bool open_turn; /* answerer: there is one. Asker: it asked, and has not seen the answer */
    bool connected; /* the other side was there when last looked at or heard of */
};

/* ---- opening ---- */

static int check_memory(enum omni_handoff_side side, uint32_t bytes, struct omni_problem *problem) {
    if (bytes <= OMNI_HANDOFF_MEMORY_BYTES_MAX && (bytes > 0 || side == OMNI_HANDOFF_ANSWERER))
        return 0;
    return omni_problem(problem, -EINVAL, "a hand-off may have 1 to %u bytes of memory, not %u",
                        OMNI_HANDOFF_MEMORY_BYTES_MAX, bytes);
}

static int open_file(int *file, const char *path, enum omni_handoff_side side,
                     struct omni_problem *problem) {
    struct stat facts;
    bool makes = side == OMNI_HANDOFF_ASKER;
    int opened =
        open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | (makes ? O_CREAT : 0),
             0600);
    if (opened < 0 && errno == ENOENT)
        return omni_problem(problem, -ENOENT, "there is no %s: has the other side started?", path);
    if (opened < 0 && errno != EACCES)
        return omni_problem(problem, -errno, "cannot open %s: %s", path, strerror(errno));
    int error = opened < 0 ? -EPERM : fstat(opened, &facts) < 0 ? -errno : 0;
    if (error == 0 && (!S_ISREG(facts.st_mode) || (facts.st_mode & 022) != 0 ||
                       (facts.st_uid != geteuid() && (makes || geteuid() != 0))))
        error = -EPERM;
    if (error == 0) {
        *file = opened;
        return 0;
    }
    if (opened >= 0)
        close(opened);
    return omni_problem(problem, error,
                        "%s is no plain file of this user's, or others may write it: have it "
                        "removed",
                        path);
}

static bool has_lost_its_name(int file) {
    struct stat facts;
    return fstat(file, &facts) < 0 || facts.st_nlink == 0;
}

static void pause_between_tries(void) {
    nanosleep(&(struct timespec){.tv_nsec = BETWEEN_TRIES_NS}, NULL);
}

/* The place in the file that has the name: not in one that was replaced before the lock was got. */
static int take_place(int *file, const char *path, enum omni_handoff_side side,
                      struct omni_problem *problem) {
    int error = -EBUSY;
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        int opened = -1;
        error = open_file(&opened, path, side, problem);
        if (error < 0)
            return error;
        error = omni_lock_take_byte(opened, lock_of[side]);
        if (error == 0 && !has_lost_its_name(opened)) {
            *file = opened;
            return 0;
        }
        close(opened);
        if (error < 0 && error != -EBUSY)
            break;
        pause_between_tries();
    }
    if (error == -EBUSY || error == 0)
        return omni_problem(problem, -EBUSY, "another process %s at %s already: end that first",
                            side == OMNI_HANDOFF_ASKER ? "asks" : "answers", path);
    return omni_problem(problem, error, "cannot lock %s: %s", path, strerror(-error));
}

/* Of the file's head, what it is. The copy is checked: nobody changes it meanwhile. */
enum content { CONTENT_UNFINISHED, CONTENT_STRANGE, CONTENT_READY };

static enum content read_head(int file, struct words *head) {
    static const struct words nothing;
    memset(head, 0, sizeof *head);
    ssize_t got = pread(file, head, sizeof *head, 0);
    if (got <= 0 || memcmp(head, &nothing, sizeof *head) == 0)
        return CONTENT_UNFINISHED;
    if (got != (ssize_t)sizeof *head || memcmp(head->magic, MAGIC, sizeof head->magic) != 0)
        return CONTENT_STRANGE;
    return head->layout_version == 0 ? CONTENT_UNFINISHED : CONTENT_READY;
}

static int refuse_strange(const char *path, struct omni_problem *problem) {
    return omni_problem(problem, -EBADMSG,
                        "%s is no hand-off (its magic is wrong): have it removed", path);
}

static int check_head(const struct words *head, int file, uint32_t memory_bytes, const char *path,
                      struct omni_problem *problem) {
    struct stat facts;
    if (head->byte_order != OMNI_BYTE_ORDER)
        return omni_problem(problem, -EPROTO,
                            "%s was made with another byte order (%08x, expected %08x): run both "
                            "sides on CPUs of the same byte order",
                            path, head->byte_order, OMNI_BYTE_ORDER);
    if (head->layout_version != LAYOUT_VERSION)
        return omni_problem(problem, -EPROTO,
                            "%s has layout version %u, this program knows %u: build both sides "
                            "from the same release",
                            path, head->layout_version, LAYOUT_VERSION);
    if (memory_bytes != 0 && head->memory_bytes != memory_bytes)
        return omni_problem(problem, -EPROTO,
                            "%s has %u bytes of memory, this side expects %u: build both sides "
                            "from the same release",
                            path, head->memory_bytes, memory_bytes);
    if (head->memory_bytes == 0 || head->memory_bytes > OMNI_HANDOFF_MEMORY_BYTES_MAX ||
        head->memory_offset != sizeof *head || fstat(file, &facts) < 0 ||
        facts.st_size < (off_t)(sizeof *head + head->memory_bytes))
        return omni_problem(problem, -EBADMSG, "%s is corrupt or was cut short: have it removed",
                            path);
    return 0;
}

static int map(struct omni_handoff *handoff, const char *path, struct omni_problem *problem) {
    handoff->size = sizeof(struct words) + handoff->memory_bytes;
    void *bytes = mmap(NULL, handoff->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                       handoff->file, 0);
    if (bytes == MAP_FAILED)
        return omni_problem(problem, -errno, "cannot map %s: %s", path, strerror(errno));
    handoff->words = bytes;
    return 0;
}

static int make(struct omni_handoff *handoff, const char *path, struct omni_problem *problem) {
    int error;
    do
        error = -posix_fallocate(handoff->file, 0,
                                 (off_t)(sizeof(struct words) + handoff->memory_bytes));
    while (error == -EINTR);
    if (error < 0)
        return omni_problem(problem, error, "no room for a hand-off at %s: %s", path,
                            strerror(-error));
    error = map(handoff, path, problem);
    struct words *words = handoff->words;
    if (words == NULL)
        return error;
    memcpy(words->magic, MAGIC, sizeof words->magic);
    words->byte_order = OMNI_BYTE_ORDER;
    words->memory_offset = sizeof *words;
    words->memory_bytes = handoff->memory_bytes;
    omni_store_release(&words->layout_version, LAYOUT_VERSION);
    return 0;
}

static int join(struct omni_handoff *handoff, const char *path, struct omni_problem *problem) {
    struct words head;
    enum content content = read_head(handoff->file, &head);
    if (content == CONTENT_STRANGE)
        return refuse_strange(path, problem);
    if (content == CONTENT_UNFINISHED)
        return omni_problem(problem, -EAGAIN, "%s is still being made", path);
    int error = check_head(&head, handoff->file, handoff->memory_bytes, path, problem);
    if (error < 0)
        return error;
    handoff->memory_bytes = head.memory_bytes;
    return map(handoff, path, problem);
}

/* What an asker finds: nothing (then it makes it), one like its own (then it goes on with it), or
 * what another release left. That is not rewritten, an answerer may be in it: it loses its name, and
 * -EAGAIN says to look at what has the name now. */
static int make_or_join(struct omni_handoff *handoff, const char *path,
                        struct omni_problem *problem) {
    struct words head;
    struct stat facts;
    enum content content = read_head(handoff->file, &head);
    if (content == CONTENT_STRANGE)
        return refuse_strange(path, problem);
    if (content == CONTENT_READY &&
        check_head(&head, handoff->file, handoff->memory_bytes, path, NULL) == 0)
        return map(handoff, path, problem);
    if (fstat(handoff->file, &facts) == 0 && facts.st_size == 0)
        return make(handoff, path, problem);
    if (unlink(path) < 0)
        return omni_problem(problem, -errno, "cannot replace %s: %s", path, strerror(errno));
    close(handoff->file);
    handoff->file = -1;
    int error = take_place(&handoff->file, path, OMNI_HANDOFF_ASKER, problem);
    return error < 0
               ? error
               : omni_problem(problem, -EAGAIN, "%s is made again and again by another", path);
}

static int settle(struct omni_handoff *handoff, const char *path, struct omni_problem *problem) {
    if (handoff->side == OMNI_HANDOFF_ANSWERER)
        return join(handoff, path, problem);
    int error = -EAGAIN;
    for (int tries = 0; error == -EAGAIN && tries < OPEN_TRIES; tries++)
        error = make_or_join(handoff, path, problem);
    return error == -EAGAIN ? -EBUSY : error;
}

static struct omni_handoff *allocate(enum omni_handoff_side side, uint32_t memory_bytes,
                                     struct omni_problem *problem) {
    struct omni_handoff *made = malloc(sizeof *made);
    if (made == NULL)
        omni_problem_write(problem, "no memory for a hand-off");
    else
        *made = (struct omni_handoff){.file = -1, .side = side, .memory_bytes = memory_bytes};
    return made;
}

static void release(struct omni_handoff *handoff) {
    if (handoff->words != NULL)
        munmap(handoff->words, handoff->size);
    if (handoff->file >= 0)
        close(handoff->file);
    free(handoff);
}

int omni_handoff_open(struct omni_handoff **handoff, const char *path, enum omni_handoff_side side,
                      uint32_t memory_bytes, struct omni_problem *problem) {
    int error = check_memory(side, memory_bytes, problem);
    if (error < 0)
        return error;
    struct omni_handoff *made = allocate(side, memory_bytes, problem);
    if (made == NULL)
        return -ENOMEM;
    error = take_place(&made->file, path, side, problem);
    if (error == 0)
        error = settle(made, path, problem);
    if (error < 0) {
        release(made);
        return error;
    }
    /* What a dead predecessor asked, and nobody is at work on, is nobody's wish any more. */
    if (side == OMNI_HANDOFF_ASKER)
        (void)omni_handoff_withdraw(made);
    *handoff = made;
    return 0;
}

/* ---- opening without a name ---- */

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* For sentences, in the place of a path. */
#define NAMELESS "memory without a name"

/* Sized first, then sealed: what the other side gets can never change its size. */
static int make_sealed(struct omni_handoff *handoff, struct omni_problem *problem) {
    handoff->file = memfd_create("omni-handoff", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (handoff->file < 0)
        return omni_problem(problem, -errno, "no memory for a hand-off: %s", strerror(errno));
    int error = make(handoff, NAMELESS, problem);
    if (error < 0)
        return error;
    if (fcntl(handoff->file, F_ADD_SEALS, SEALS) < 0)
        return omni_problem(problem, -errno, "cannot seal the memory of a hand-off: %s",
                            strerror(errno));
    error = omni_lock_take_byte(handoff->file, lock_of[OMNI_HANDOFF_ASKER]);
    return error < 0
               ? omni_problem(problem, error, "cannot lock %s: %s", NAMELESS, strerror(-error))
               : 0;
}

/* A copy of the descriptor would not do: its locks would be the same. */
static int open_again(int file, int *other, struct omni_problem *problem) {
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int opened = open(path, O_RDWR | O_CLOEXEC);
    if (opened < 0)
        return omni_problem(problem, -errno, "cannot open the memory of a hand-off at %s: %s", path,
                            strerror(errno));
    *other = opened;
    return 0;
}

int omni_handoff_make(struct omni_handoff **handoff, uint32_t memory_bytes, int *file,
                      struct omni_problem *problem) {
    int error = check_memory(OMNI_HANDOFF_ASKER, memory_bytes, problem);
    if (error < 0)
        return error;
    struct omni_handoff *made = allocate(OMNI_HANDOFF_ASKER, memory_bytes, problem);
    if (made == NULL)
        return -ENOMEM;
    made->is_nameless = true;
    error = make_sealed(made, problem);
    if (error == 0)
        error = open_again(made->file, file, problem);
    if (error < 0) {
        release(made);
        return error;
    }
    *handoff = made;
    return 0;
}

/* Files on a disk, pipes and descriptors that are none have no seals. */
static int check_seals(int file, struct omni_problem *problem) {
    int seals = fcntl(file, F_GET_SEALS);
    if (seals >= 0 && (seals & F_SEAL_SHRINK) != 0)
        return 0;
    return omni_problem(problem, -EBADMSG, "descriptor %d is no sealed memory of a hand-off", file);
}

static int join_sealed(struct omni_handoff *handoff, int file, struct omni_problem *problem) {
    int error = check_seals(file, problem);
    if (error < 0)
        return error;
    error = omni_lock_take_byte(file, lock_of[OMNI_HANDOFF_ANSWERER]);
    if (error == -EBUSY)
        return omni_problem(problem, error, "another process answers there already");
    if (error < 0)
        return omni_problem(problem, error, "cannot lock %s: %s", NAMELESS, strerror(-error));
    handoff->file = file;
    error = join(handoff, NAMELESS, problem);
    if (error == -EAGAIN) /* nobody is at making it: it came whole, or is none */
        error = omni_problem(problem, -EBADMSG, "descriptor %d is no hand-off: it is empty", file);
    if (error < 0)
        (void)omni_lock_drop_byte(file, lock_of[OMNI_HANDOFF_ANSWERER]);
    else
        (void)fcntl(file, F_SETFD, FD_CLOEXEC);
    return error;
}

int omni_handoff_join(struct omni_handoff **handoff, int file, uint32_t memory_bytes,
                      struct omni_problem *problem) {
    int error = check_memory(OMNI_HANDOFF_ANSWERER, memory_bytes, problem);
    if (error < 0)
        return error;
    struct omni_handoff *made = allocate(OMNI_HANDOFF_ANSWERER, memory_bytes, problem);
    if (made == NULL)
        return -ENOMEM;
    made->is_nameless = true;
    error = join_sealed(made, file, problem);
    if (error < 0) {
        free(made);
        return error;
    }
    *handoff = made;
    return 0;
}

void *omni_handoff_memory(const struct omni_handoff *handoff) {
    return handoff->words + 1;
}

uint32_t omni_handoff_memory_bytes(const struct omni_handoff *handoff) {
    return handoff->memory_bytes;
}

/* ---- the other side ---- */

static unsigned others_lock(const struct omni_handoff *handoff) {
    return lock_of[handoff->side == OMNI_HANDOFF_ASKER ? OMNI_HANDOFF_ANSWERER
                                                       : OMNI_HANDOFF_ASKER];
}

int omni_handoff_is_connected(const struct omni_handoff *handoff) {
    return omni_lock_is_held_byte(handoff->file, others_lock(handoff));
}

/* After a look that found nobody: -EPIPE where there was somebody; -ENOTCONN. */
static int nobody(struct omni_handoff *handoff) {
    bool just_ended = handoff->connected;
    handoff->connected = false;
    if (just_ended)
        return -EPIPE;
    return !handoff->is_nameless && has_lost_its_name(handoff->file) ? -ESTALE : -ENOTCONN;
}

/* Returns 0 where the other side is there. */
static int look(struct omni_handoff *handoff) {
    int held = omni_handoff_is_connected(handoff);
    if (held < 0)
        return held;
    if (held == 0)
        return nobody(handoff);
    handoff->connected = true;
    return 0;
}

/* ---- waiting ---- */

struct patience {
    uint64_t timeout_ns;
    uint64_t start_ns;
    bool over; /* the time was over, and the word got one more look */
};

static uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct patience patience_begin(uint64_t timeout_ns) {
    bool timed = timeout_ns != 0 && timeout_ns != OMNI_HANDOFF_FOREVER;
    return (struct patience){.timeout_ns = timeout_ns, .start_ns = timed ? monotonic_ns() : 0};
}

static uint64_t patience_left(const struct patience *patience) {
    if (patience->timeout_ns == 0 || patience->timeout_ns == OMNI_HANDOFF_FOREVER)
        return patience->timeout_ns;
    uint64_t passed = monotonic_ns() - patience->start_ns;
    return passed < patience->timeout_ns ? patience->timeout_ns - passed : 0;
}

/* Sleeps while *word is `seen`. Returns 0 where it is worth to look at the word again; what the
 * waiting function returns where it is not. The kernel compares and falls asleep in one step: who
 * changes the word before that is noticed by the comparison, who changes it after that wakes us.
 * Being woken without news is how the other side says goodbye. A word that changes for ever, as a
 * broken other side may let it, is news once after the time is over, not again. */
static int doze(struct omni_handoff *handoff, const uint32_t *word, uint32_t seen,
                struct patience *patience) {
    uint64_t left = patience_left(patience);
    int error = 0;
    if (left > 0)
        error = omni_futex_wait(word, seen, left < BETWEEN_LOOKS_NS ? left : BETWEEN_LOOKS_NS);
    if (omni_load_acquire(word) != seen && !patience->over) {
        patience->over = left == 0;
        return 0;
    }
    if (error < 0 && error != -EAGAIN && error != -ETIMEDOUT)
        return error;
    error = look(handoff);
    if (error < 0 && error != -ENOTCONN)
        return error;
    if (patience_left(patience) > 0)
        return 0;
    return error < 0 ? error : -ETIMEDOUT;
}

/* ---- asking ---- */

/* The asker's own word: nobody else writes it. */
static uint32_t asked(const struct omni_handoff *handoff) {
    return omni_load_relaxed(&handoff->words->asked);
}

int omni_handoff_ask(struct omni_handoff *handoff) {
    uint32_t number = asked(handoff);
    if (omni_load_acquire(&handoff->words->answered) != number)
        return -EBUSY;
    handoff->open_turn = true;
    omni_store_release(&handoff->words->asked, number + 1);
    omni_futex_wake(&handoff->words->asked);
    return 0;
}

int omni_handoff_await_answer(struct omni_handoff *handoff, uint64_t timeout_ns) {
    struct patience patience = patience_begin(timeout_ns);
    uint32_t number = asked(handoff);
    for (;;) {
        uint32_t seen = omni_load_acquire(&handoff->words->answered);
        if (seen == number) {
            handoff->connected |= handoff->open_turn;
            handoff->open_turn = false;
            return 0;
        }
        int error = doze(handoff, &handoff->words->answered, seen, &patience);
        if (error < 0)
            return error;
    }
}

/* In the answerer's place for a moment, so that none comes in between. */
int omni_handoff_withdraw(struct omni_handoff *handoff) {
    if (omni_load_acquire(&handoff->words->answered) == asked(handoff))
        return 0;
    int error = omni_lock_take_byte(handoff->file, lock_of[OMNI_HANDOFF_ANSWERER]);
    if (error < 0)
        return error;
    handoff->open_turn = false;
    omni_store_release(&handoff->words->answered, asked(handoff));
    return omni_lock_drop_byte(handoff->file, lock_of[OMNI_HANDOFF_ANSWERER]);
}

/* ---- answering ---- */

static void close_request(struct omni_handoff *handoff, uint32_t number) {
    omni_store_release(&handoff->words->answered, number);
    omni_futex_wake(&handoff->words->answered);
}

/* A request is not begun without having seen its asker: it may be long dead. The number was read
 * before the look: what a new asker asks meanwhile has another. */
static int begin(struct omni_handoff *handoff, uint32_t number) {
    int error = handoff->connected ? 0 : look(handoff);
    if (error == 0) {
        handoff->number = number;
        handoff->open_turn = true;
    } else if (error == -ENOTCONN) {
        close_request(handoff, number);
    }
    return error;
}

int omni_handoff_await_request(struct omni_handoff *handoff, uint64_t timeout_ns) {
    struct patience patience = patience_begin(timeout_ns);
    for (;;) {
        uint32_t seen = omni_load_acquire(&handoff->words->asked);
        if (seen != omni_load_relaxed(&handoff->words->answered)) {
            int error = begin(handoff, seen);
            if (error != -ENOTCONN)
                return error;
        }
        int error = doze(handoff, &handoff->words->asked, seen, &patience);
        if (error < 0)
            return error;
    }
}

int omni_handoff_answer(struct omni_handoff *handoff) {
    if (!handoff->open_turn)
        return -EINVAL;
    handoff->open_turn = false;
    close_request(handoff, handoff->number);
    return 0;
}

/* The lock is gone before the other side is woken, else it would find us still there. Dropped, not
 * only closed: a mapping keeps a file's locks, and a child that was forked meanwhile has one. */
void omni_handoff_close(struct omni_handoff *handoff) {
    if (handoff == NULL)
        return;
    uint32_t *word =
        handoff->side == OMNI_HANDOFF_ASKER ? &handoff->words->asked : &handoff->words->answered;
    (void)omni_lock_drop_byte(handoff->file, lock_of[handoff->side]);
    omni_futex_wake(word);
    release(handoff);
}
