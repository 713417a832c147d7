#include "player.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alsa.h"
#include "clips.h"
#include "clock.h"
#include "service/say.h"
#include "thread.h"

/* Requests that may be unheard: calls, and on top of them a switch. */
enum { LINE_MOST = PLAYER_UNHEARD_MAX + 1 };

enum request_kind { REQUEST_OFF, REQUEST_ON, REQUEST_PLAY, REQUEST_NOTHING };

struct request {
    enum request_kind kind;
    enum chicken call;
    uint64_t asked_ns;
};

/* ---- the thread's side ---- */

struct worker {
    int line;
    char *device;
    char *directory;
    uint64_t seed;
    struct alsa alsa;
    struct clips *clips; /* NULL while off */
    bool on;
    bool over; /* the loop has hung up */
    bool has_device;
    uint64_t probe_ns; /* where there is no device: when to look again */
    unsigned retry_ms;
    struct request waiting[PLAYER_WAITING_MAX];
    unsigned waiting_count;
    enum chicken playing; /* while it plays */
    unsigned heard;       /* and not yet reported */
    bool complained;      /* that there is no device: once, until it plays again */
    bool failed_playing;  /* what can be opened need not play */
    struct player_report last;
};

static void report(struct worker *worker, const char *reason) {
    struct player_report *last = &worker->last;
    bool is_new = last->has_device != worker->has_device || strcmp(last->reason, reason) != 0;
    if (!is_new && worker->heard == 0)
        return;
    *last = (struct player_report){.heard = worker->heard, .has_device = worker->has_device};
    (void)snprintf(last->reason, sizeof last->reason, "%s", reason);
    worker->heard = 0;
    /* May wait, but for the loop alone, which reads all the time. */
    (void)send(worker->line, last, sizeof *last, MSG_NOSIGNAL);
}

static void report_same(struct worker *worker) {
    char reason[sizeof worker->last.reason];
    memcpy(reason, worker->last.reason, sizeof reason);
    report(worker, reason);
}

static void complain(void *context, const char *sentence) {
    (void)context;
    say(SAY_WARNING, "%s", sentence);
}

static void lose_device(struct worker *worker, int error) {
    char reason[sizeof worker->last.reason];
    (void)snprintf(reason, sizeof reason, "no sound device \"%.48s\": %s", worker->device,
                   alsa_explain(error));
    if (!worker->complained)
        say(SAY_WARNING, "%s; it is tried again and again (--sound-device NAME for another)",
            reason);
    worker->complained = true;
    worker->has_device = false;
    /* What it read of the cards that were there then is not true of those that come. */
    alsa_forget();
    worker->waiting_count = 0;
    worker->probe_ns = clock_now_ns() + worker->retry_ms * CLOCK_NS_A_MILLISECOND;
    worker->retry_ms *= 2;
    if (worker->retry_ms > PLAYER_RETRY_MS_MAX)
        worker->retry_ms = PLAYER_RETRY_MS_MAX;
    report(worker, reason);
}

/* What was said of it is over. Of a device that failed while it played only playing shows that. */
static void trust_device(struct worker *worker) {
    if (worker->complained)
        say(SAY_INFO, "the sound device \"%s\" is back", worker->device);
    worker->complained = worker->failed_playing = false;
    worker->retry_ms = PLAYER_RETRY_MS_MIN;
}

static void gain_device(struct worker *worker) {
    if (!worker->failed_playing)
        trust_device(worker);
    worker->has_device = true;
    report(worker, "");
}

/* ---- what it is asked ---- */

static void hear_off(struct worker *worker, const struct request *request) {
    (void)request;
    worker->on = false;
    worker->waiting_count = 0;
}

static void hear_on(struct worker *worker, const struct request *request) {
    (void)request;
    worker->on = true;
    worker->retry_ms = PLAYER_RETRY_MS_MIN;
    worker->probe_ns = 0;
}

static void drop(struct worker *worker, unsigned at) {
    worker->waiting_count--;
    memmove(&worker->waiting[at], &worker->waiting[at + 1],
            (worker->waiting_count - at) * sizeof worker->waiting[0]);
}

/* Until the device was looked for, it may be there: what happens meanwhile waits for it. */
static bool is_missing(const struct worker *worker) {
    return !worker->has_device && worker->last.reason[0] != '\0';
}

/* Calls are numbered by gravity: nobody wants to hear a cluck before an alarm, nor after it. */
static void hear_play(struct worker *worker, const struct request *request) {
    if (!worker->on || is_missing(worker))
        return;
    for (unsigned at = worker->waiting_count; at-- > 0;)
        if (worker->waiting[at].call < request->call)
            drop(worker, at);
    if (worker->waiting_count == PLAYER_WAITING_MAX)
        drop(worker, 0);
    worker->waiting[worker->waiting_count++] = *request;
}

/* That it was heard is the answer. */
static void hear_nothing(struct worker *worker, const struct request *request) {
    (void)worker;
    (void)request;
}

static void (*const hearers[])(struct worker *worker,
                               const struct request *request) = {[REQUEST_OFF] = hear_off,
                                                                 [REQUEST_ON] = hear_on,
                                                                 [REQUEST_PLAY] = hear_play,
                                                                 [REQUEST_NOTHING] = hear_nothing};

static void hear_all(struct worker *worker) {
    struct request request;
    ssize_t bytes;
    while ((bytes = recv(worker->line, &request, sizeof request, MSG_DONTWAIT)) ==
           (ssize_t)sizeof request) {
        worker->heard++;
        hearers[request.kind](worker, &request);
    }
    worker->over = worker->over || bytes == 0;
}

/* Asked by alsa_play() every now and then. */
static bool go_on(void *context) {
    struct worker *worker = context;
    hear_all(worker);
    report_same(worker);
    bool is_outranked = worker->waiting_count > 0 && worker->waiting[0].call > worker->playing;
    return worker->on && !worker->over && !is_outranked;
}

/* ---- what it does ---- */

static void go_off(struct worker *worker) {
    if (worker->clips == NULL)
        return;
    clips_close(worker->clips);
    worker->clips = NULL;
    worker->has_device = false;
    alsa_forget();
    (void)malloc_trim(0); /* what a thread frees stays with its arena otherwise */
    report(worker, "");
}

static bool get_clips(struct worker *worker) {
    int error = clips_open(&worker->clips, worker->directory, worker->seed++, complain, NULL);
    if (error < 0 && worker->directory != NULL) {
        say(SAY_WARNING, "cannot read %s: %s; the synthesiser plays instead", worker->directory,
            strerrordesc_np(-error));
        error = clips_open(&worker->clips, NULL, worker->seed++, complain, NULL);
    }
    if (error < 0) {
        lose_device(worker, error);
        return false;
    }
    clips_prepare(worker->clips);
    return true;
}

static void probe(struct worker *worker) {
    int error = alsa_probe(&worker->alsa);
    if (error == 0)
        gain_device(worker);
    else
        lose_device(worker, error);
}

static void play_next(struct worker *worker) {
    struct request request = worker->waiting[0];
    struct clip clip;
    drop(worker, 0);
    if (clock_now_ns() - request.asked_ns > PLAYER_STALE_NS ||
        clips_take(worker->clips, request.call, &clip) < 0)
        return;
    worker->playing = request.call;
    int error = alsa_play(&worker->alsa, &clip);
    if (error == 0) {
        trust_device(worker);
    } else if (error == -EINVAL && clip.name != NULL && alsa_probe(&worker->alsa) == 0) {
        clips_reject(worker->clips, request.call, &clip, alsa_explain(error));
    } else if (error != -ECANCELED) {
        worker->failed_playing = true;
        lose_device(worker, error);
    }
    clip_close(&clip);
    clips_prepare(worker->clips);
}

/* One thing at a time; false where there is nothing to do now. */
static bool act(struct worker *worker) {
    if (!worker->on) {
        go_off(worker);
        return false;
    }
    if (worker->has_device) {
        if (worker->waiting_count == 0)
            return false;
        play_next(worker);
        return true;
    }
    if (clock_now_ns() < worker->probe_ns)
        return false;
    if (worker->clips != NULL || get_clips(worker))
        probe(worker);
    return true;
}

static int patience_ms(const struct worker *worker) {
    uint64_t now = clock_now_ns();
    if (!worker->on || worker->has_device)
        return -1;
    return worker->probe_ns > now ? (int)((worker->probe_ns - now) / CLOCK_NS_A_MILLISECOND) + 1
                                  : 0;
}

static void free_worker(struct worker *worker) {
    int line = worker->line;
    clips_close(worker->clips);
    free(worker->device);
    free(worker->directory);
    free(worker);
    if (line >= 0)
        (void)close(line);
}

static void *run(void *context) {
    struct worker *worker = context;
    struct pollfd line = {.fd = worker->line, .events = POLLIN};
    alsa_hush();
    while (!worker->over) {
        while (!worker->over && act(worker))
            hear_all(worker);
        report_same(worker);
        (void)poll(&line, 1, patience_ms(worker));
        hear_all(worker);
    }
    alsa_forget();
    free_worker(worker);
    return NULL;
}

/* ---- the loop's side ---- */

static struct worker *make_worker(const struct player_options *options, int line) {
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->line = -1;
    worker->seed = options->seed;
    worker->retry_ms = PLAYER_RETRY_MS_MIN;
    worker->device = strdup(options->device);
    worker->directory = options->directory != NULL ? strdup(options->directory) : NULL;
    if (worker->device == NULL || (options->directory != NULL && worker->directory == NULL)) {
        free_worker(worker);
        return NULL;
    }
    worker->line = line;
    worker->alsa = (struct alsa){
        .device = worker->device, .volume = options->volume, .go_on = go_on, .context = worker};
    return worker;
}

int player_start(struct player *player, const struct player_options *options) {
    int ends[2];
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    struct worker *worker = make_worker(options, ends[1]);
    int error = worker == NULL ? -ENOMEM : thread_start(&thread, run, worker);
    if (error < 0) {
        if (worker != NULL)
            free_worker(worker);
        else
            (void)close(ends[1]);
        (void)close(ends[0]);
        return error;
    }
    *player = (struct player){.line = ends[0], .thread = thread};
    return 0;
}

bool player_read(struct player *player, struct player_report *report) {
    ssize_t bytes = recv(player->line, report, sizeof *report, MSG_DONTWAIT);
    if (bytes != (ssize_t)sizeof *report)
        return false;
    player->unheard -= report->heard < player->unheard ? report->heard : player->unheard;
    player->oldest_ns = clock_now_ns();
    return true;
}

static bool ask(struct player *player, enum request_kind kind, enum chicken call) {
    struct request request = {.kind = kind, .call = call, .asked_ns = clock_now_ns()};
    if (player->line < 0 ||
        send(player->line, &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return false;
    if (player->unheard++ == 0)
        player->oldest_ns = request.asked_ns;
    return true;
}

bool player_switch(struct player *player, bool on) {
    return player->unheard < LINE_MOST && ask(player, on ? REQUEST_ON : REQUEST_OFF, 0);
}

bool player_nudge(struct player *player) {
    return player->unheard < PLAYER_UNHEARD_MAX && ask(player, REQUEST_NOTHING, 0);
}

bool player_play(struct player *player, enum chicken call) {
    return player->unheard < PLAYER_UNHEARD_MAX && ask(player, REQUEST_PLAY, call);
}

/* The thread closes its end last of all. */
static bool wait_for_end(const struct player *player) {
    uint64_t end_ns = clock_now_ns() + PLAYER_STOP_MS * CLOCK_NS_A_MILLISECOND;
    struct pollfd line = {.fd = player->line, .events = POLLIN};
    for (uint64_t now = clock_now_ns(); now < end_ns; now = clock_now_ns()) {
        struct player_report report;
        if (poll(&line, 1, (int)((end_ns - now) / CLOCK_NS_A_MILLISECOND) + 1) > 0 &&
            recv(player->line, &report, sizeof report, MSG_DONTWAIT) == 0)
            return true;
    }
    return false;
}

bool player_stop(struct player *player) {
    if (player->line < 0)
        return true;
    (void)shutdown(player->line, SHUT_WR);
    bool is_over = wait_for_end(player);
    (void)(is_over ? pthread_join(player->thread, NULL) : pthread_detach(player->thread));
    (void)close(player->line);
    player->line = -1;
    return is_over;
}
