/*
 * peers - the same publication through what people use instead
 *
 * 64 bytes at 1 kHz to one receiving process, which reports how long they were on their way. Each
 * peer is timed in one loop with omni_publish_at() that a phase-locked reader follows
 * (parts/contest.h): what it costs the sender, as a ratio to that.
 *
 * LCM speaks UDP multicast; it gets a network of its own, so that nothing leaves this program.
 *
 *     peers
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <omni/observe.h>
#include <omni/wait.h>

#ifdef BENCH_HAVE_LCM
#include <lcm/lcm.h>
#endif

#include "parts/contest.h"
#include "parts/process.h"
#include "parts/robot.h"

enum {
    BYTES = 64,
    ITERATIONS = 4000,
    WARM_UP_ITERATIONS = 200,
    SAMPLES = ITERATIONS / 2,
    LATENCIES = ITERATIONS + WARM_UP_ITERATIONS
};

/* A way to send. The channel is opened before the receiver is forked off. */
struct peer {
    const char *name;
    int (*open)(void); /* 0, or -errno: not here */
    void (*send)(void *context, const void *status, struct omni_time time);
    void (*receive)(struct samples *latencies); /* until killed */
};

static void take(struct samples *latencies, const void *status) {
    uint64_t then_ns = 0;
    uint64_t now_ns = measure_now();
    memcpy(&then_ns, status, sizeof then_ns);
    samples_add(latencies, now_ns - then_ns);
}

static struct omni_observer *attach(const char *name) {
    struct omni_observer_options options = {.directory = process_directory()};
    struct omni_observer *observer = NULL;
    while (omni_observer_attach(&observer, name, &options, NULL) < 0)
        measure_sleep_until(measure_now() + MILLISECOND_NS);
    return observer;
}

/* ---- omni, followed by polling: what the others are compared with ---- */

static void drain(struct omni_observer *observer, struct omni_pacer *pacer,
                  struct samples *latencies) {
    unsigned char status[BYTES];
    struct omni_stamp stamp;
    bool found = false;
    while (omni_observer_next(observer, &stamp, status) == 0) {
        take(latencies, status);
        found = true;
    }
    omni_pacer_looked(pacer, measure_now(), found ? &stamp : NULL);
}

static void poll_receive(struct samples *latencies) {
    struct omni_observer *observer = attach("ours");
    struct omni_pacer pacer;
    uint64_t expirations = 0;
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    omni_pacer_start(&pacer, MILLISECOND_NS, 0, measure_now());
    for (;;) {
        drain(observer, &pacer, latencies);
        uint64_t next_ns = omni_pacer_next(&pacer);
        struct itimerspec when = {.it_value = {.tv_sec = (time_t)(next_ns / SECOND_NS),
                                               .tv_nsec = (long)(next_ns % SECOND_NS)}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
        (void)!read(timer, &expirations, sizeof expirations);
    }
}

/* ---- omni with a futex ---- */

static struct omni_publisher *futex_publisher;

static int futex_open(void) {
    futex_publisher = robot_open("futex", status_64_schema(), MILLISECOND_NS, true);
    return 0;
}

static void futex_send(void *context, const void *status, struct omni_time time) {
    (void)context;
    omni_publish_at(futex_publisher, status, time);
}

static void futex_receive(struct samples *latencies) {
    struct omni_observer *observer = attach("futex");
    unsigned char status[BYTES];
    struct omni_stamp stamp = {.version = 0};
    for (;;) {
        while (omni_observer_next(observer, &stamp, status) == 0)
            take(latencies, status);
        (void)omni_wait_version(observer, stamp.version, SECOND_NS);
    }
}

/* ---- POSIX message queue ---- */

static mqd_t queue;

static int queue_open(void) {
    char name[64];
    struct mq_attr attributes = {.mq_maxmsg = 8, .mq_msgsize = BYTES};
    snprintf(name, sizeof name, "/omni-bench-%ld", (long)getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
    if (queue == (mqd_t)-1)
        return -errno;
    mq_unlink(name);
    return 0;
}

static void queue_send(void *context, const void *status, struct omni_time time) {
    static const struct timespec not_at_all;
    (void)context;
    (void)time;
    (void)mq_timedsend(queue, status, BYTES, 0, &not_at_all);
}

static void queue_receive(struct samples *latencies) {
    char status[BYTES];
    for (;;)
        if (mq_receive(queue, status, sizeof status, NULL) == BYTES)
            take(latencies, status);
}

/* ---- Unix datagram ---- */

static int datagram_ends[2];

static int datagram_open(void) {
    return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagram_ends) < 0 ? -errno : 0;
}

static void datagram_send(void *context, const void *status, struct omni_time time) {
    (void)context;
    (void)time;
    (void)send(datagram_ends[0], status, BYTES, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void datagram_receive(struct samples *latencies) {
    char status[BYTES];
    for (;;)
        if (recv(datagram_ends[1], status, sizeof status, 0) == BYTES)
            take(latencies, status);
}

/* ---- mutex and condition variable ---- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t version;
    unsigned char status[BYTES];
} * box;

static int condition_open(void) {
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    box = mmap(NULL, sizeof *box, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (box == MAP_FAILED)
        return -errno;
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_condattr_init(&condition);
    pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&box->mutex, &mutex);
    pthread_cond_init(&box->changed, &condition);
    return 0;
}

static void condition_send(void *context, const void *status, struct omni_time time) {
    (void)context;
    (void)time;
    pthread_mutex_lock(&box->mutex);
    memcpy(box->status, status, BYTES);
    box->version++;
    pthread_mutex_unlock(&box->mutex);
    pthread_cond_signal(&box->changed);
}

static void condition_receive(struct samples *latencies) {
    unsigned char status[BYTES];
    uint64_t seen = 0;
    for (;;) {
        pthread_mutex_lock(&box->mutex);
        while (box->version == seen)
            pthread_cond_wait(&box->changed, &box->mutex);
        seen = box->version;
        memcpy(status, box->status, BYTES);
        pthread_mutex_unlock(&box->mutex);
        take(latencies, status);
    }
}

/* ---- LCM ---- */

#ifdef BENCH_HAVE_LCM
static lcm_t *lcm;

/* A loop-back network of this process and its children alone, with a route for multicast. */
static int private_network(void) {
    struct ifreq loopback = {.ifr_name = "lo"};
    struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = loopback.ifr_name};
    struct sockaddr_in *address = (void *)&route.rt_dst;
    struct sockaddr_in *mask = (void *)&route.rt_genmask;
    if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return -errno;
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_UNSPEC_GROUP)}};
    *mask = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(0xF0000000U)}};
    loopback.ifr_flags = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
    int error = 0;
    if (control < 0 || ioctl(control, SIOCSIFFLAGS, &loopback) < 0 ||
        ioctl(control, SIOCADDRT, &route) < 0)
        error = -errno;
    close(control);
    return error;
}

static int lcm_channel_open(void) {
    int error = private_network();
    if (error < 0)
        return error;
    lcm = lcm_create("udpm://239.255.76.67:7667?ttl=0");
    return lcm != NULL ? 0 : -ENOTSUP;
}

static void lcm_send(void *context, const void *status, struct omni_time time) {
    (void)context;
    (void)time;
    (void)lcm_publish(lcm, "STATUS", status, BYTES);
}

static void lcm_take(const lcm_recv_buf_t *received, const char *channel, void *context) {
    (void)channel;
    take(context, received->data);
}

static void lcm_receive(struct samples *latencies) {
    /* Not the sender's one: its threads did not come along when this process was forked. */
    lcm_t *mine = lcm_create("udpm://239.255.76.67:7667?ttl=0");
    if (mine == NULL)
        return;
    lcm_subscribe(mine, "STATUS", lcm_take, latencies);
    while (lcm_handle(mine) == 0) {
    }
}
#else
static int lcm_channel_open(void) {
    return -ENOENT;
}

static void lcm_send(void *context, const void *status, struct omni_time time) {
    contest_nothing(context, status, time);
}

static void lcm_receive(struct samples *latencies) {
    (void)latencies;
}
#endif

/* ---- one peer against ours ---- */

static const struct peer peers[] = {
    {"a publish that wakes a futex sleeper", futex_open, futex_send, futex_receive},
    {"POSIX message queue", queue_open, queue_send, queue_receive},
    {"Unix datagram", datagram_open, datagram_send, datagram_receive},
    {"process-shared mutex + condition variable", condition_open, condition_send,
     condition_receive},
    {"LCM (UDP multicast, ttl 0)", lcm_channel_open, lcm_send, lcm_receive},
};

struct match {
    const struct peer *peer;
    struct samples *costs;
    struct samples *our_costs;
    struct samples *latencies;
    struct samples *our_latencies;
    struct samples *error; /* one value where the peer is not here */
};

static void receive_theirs(void *context) {
    struct match *match = context;
    match->peer->receive(match->latencies);
}

static void receive_ours(void *context) {
    struct match *match = context;
    poll_receive(match->our_latencies);
}

/* In a process of its own: LCM's network must not become everybody's. */
static void play(void *context) {
    struct match *match = context;
    int error = match->peer->open();
    if (error < 0) {
        samples_add(match->error, (uint64_t)-error);
        return;
    }
    struct omni_publisher *ours = robot_open("ours", status_64_schema(), MILLISECOND_NS, false);
    pid_t theirs = process_fork(CORE_OBSERVER, receive_theirs, match);
    pid_t follower = process_fork(CORE_OBSERVER, receive_ours, match);
    measure_sleep_until(measure_now() + 300 * MILLISECOND_NS);
    struct samples *warm_up = samples_open(0);
    struct contender contenders[] = {{match->peer->send, NULL, warm_up},
                                     {contest_publish, ours, warm_up}};
    contest_paced(contenders, 2, BYTES, (struct pace){.period_ns = MILLISECOND_NS},
                  WARM_UP_ITERATIONS);
    contenders[0].costs = match->costs;
    contenders[1].costs = match->our_costs;
    contest_paced(contenders, 2, BYTES, (struct pace){.period_ns = MILLISECOND_NS}, ITERATIONS);
    /* Forked off, they hold the publishers' locks too: the next match wants the names. */
    process_end(theirs);
    process_end(follower);
    omni_publisher_close(ours);
    omni_publisher_close(futex_publisher);
}

static void say(const struct match *match) {
    char claim[128];
    struct row row = {.claim = claim};
    snprintf(claim, sizeof claim, "64 bytes at 1 kHz through: %s", match->peer->name);
    double theirs = (double)samples_percentile(match->costs, 0.5);
    double ours = (double)samples_percentile(match->our_costs, 0.5);
    if (match->costs->count == 0 && match->error->count == 0) {
        row_measured(&row, "did not run");
    } else if (match->error->count > 0) {
        row_measured(&row, "not here (%s)", strerror((int)match->error->values[0]));
    } else {
        row_measured(&row, "%.2f µs, %.0f ×", theirs / 1000, theirs / ours);
        row_beside(&row, "omni %.3f µs; arrives after %.0f µs, omni's after %.0f µs", ours / 1000,
                   (double)samples_percentile(match->latencies, 0.5) / 1000,
                   (double)samples_percentile(match->our_latencies, 0.5) / 1000);
    }
    row_print(&row);
}

int main(void) {
    process_directory();
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        struct match match = {.peer = &peers[i],
                              .costs = samples_open(SAMPLES),
                              .our_costs = samples_open(SAMPLES),
                              .latencies = samples_open(LATENCIES),
                              .our_latencies = samples_open(LATENCIES),
                              .error = samples_open(1)};
        process_clear_directory();
        process_wait(process_fork(CORE_ROBOT, play, &match));
        say(&match);
        samples_close(match.costs);
        samples_close(match.our_costs);
        samples_close(match.latencies);
        samples_close(match.our_latencies);
        samples_close(match.error);
    }
    return 0;
}
