#include "gpio_sensors.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"
#include "thread.h"

#define EDGES_AT_ONCE 16

enum { GROUPS = 2 };

/* Neighbours are never in the same. */
static bool is_in_group(int sensor, int group) {
    return sensor % GROUPS == group;
}

static bool is_echo(const struct gpio_sensor *sensor) {
    return sensor->trigger != NULL;
}

/* ---- a reading ------------------------------------------------------------------------------- */

static uint16_t range_of(const struct gpio_sensor *sensor, uint64_t now_ns) {
    if (sensor->input == NULL)
        return 0;
    if (is_echo(sensor))
        return sensor->echo.range_mm;
    return debounce_is_closed(&sensor->contact, now_ns) ? ECHO_RANGE_MIN_MM : ECHO_RANGE_MAX_MM;
}

/* When the oldest part was made; 0: one has none yet. */
static uint64_t oldest(const struct gpio_sensors *sensors, uint64_t now_ns) {
    uint64_t oldest_ns = now_ns;
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        const struct gpio_sensor *sensor = &sensors->sensor[i];
        if (is_echo(sensor) && sensor->echo.answered_ns < oldest_ns)
            oldest_ns = sensor->echo.answered_ns;
    }
    return oldest_ns;
}

static void put_reading(struct gpio_sensors *sensors) {
    uint64_t now_ns = clock_now_ns();
    struct omni_time time = {.monotonic_ns = oldest(sensors, now_ns)};
    struct board_reading reading;
    if (time.monotonic_ns == 0)
        return;
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++)
        reading.range_mm[i] = range_of(&sensors->sensor[i], now_ns);
    mailbox_put(&sensors->newest, &reading, time);
}

/* ---- edges ----------------------------------------------------------------------------------- */

/* Returns whether a switch has just closed. */
static bool saw_edge(struct gpio_sensor *sensor, const struct gpio_edge *edge) {
    if (is_echo(sensor)) {
        echo_edge(&sensor->echo, edge->active, edge->at_ns);
        return false;
    }
    bool was_closed = debounce_is_closed(&sensor->contact, edge->at_ns);
    debounce_saw(&sensor->contact, edge->active, edge->at_ns);
    return !was_closed && edge->active;
}

static bool take_edges(struct gpio_sensor *sensor) {
    struct gpio_edge edges[EDGES_AT_ONCE];
    bool closed = false;
    int count = gpio_line_edges(sensor->input, edges, EDGES_AT_ONCE);
    for (int i = 0; i < count; i++)
        closed = saw_edge(sensor, &edges[i]) || closed;
    return closed;
}

/* Edges may have been lost where there were very many: the level itself counts. A switch that cannot
 * be read any more is as good as touched. */
static void look(struct gpio_sensor *sensor) {
    int level = gpio_line_get(sensor->input);
    if (is_echo(sensor) && level >= 0)
        echo_level(&sensor->echo, level != 0);
    else if (!is_echo(sensor))
        debounce_saw(&sensor->contact, level != 0, clock_now_ns());
}

/* ---- slots ----------------------------------------------------------------------------------- */

/* The pulse is short: sleeping would make it many times as long. */
static void trigger(struct gpio_sensor *sensor) {
    uint64_t start_ns = clock_now_ns();
    echo_triggered(&sensor->echo, start_ns);
    if (gpio_line_set(sensor->trigger, true) < 0)
        return;
    start_ns = clock_now_ns();
    while (clock_now_ns() - start_ns < sensor->trigger_ns) {
    }
    (void)gpio_line_set(sensor->trigger, false);
}

static void slot_begins(struct gpio_sensors *sensors, int group) {
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        struct gpio_sensor *sensor = &sensors->sensor[i];
        if (sensor->input == NULL)
            continue;
        look(sensor);
        if (is_echo(sensor) && is_in_group(i, group) && echo_may_trigger(&sensor->echo))
            trigger(sensor);
    }
}

/* What the edges said comes first: they are all told by now, or lost. */
static void slot_ends(struct gpio_sensors *sensors, int group) {
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        struct gpio_sensor *sensor = &sensors->sensor[i];
        if (!is_echo(sensor) || !is_in_group(i, group))
            continue;
        look(sensor);
        echo_slot_ends(&sensor->echo, clock_now_ns());
    }
    put_reading(sensors);
}

/* Waits for edges, at most so long, and takes those that are there. Returns how many lines had
 * some; -ECANCELED where the thread shall end. */
static int listen_once(struct gpio_sensors *sensors, struct pollfd files[BEHAVIOUR_SENSORS + 1],
                       uint64_t wait_ns) {
    struct timespec wait = {.tv_nsec = (long)wait_ns};
    int count = ppoll(files, BEHAVIOUR_SENSORS + 1, &wait, NULL);
    if (count <= 0)
        return 0;
    if (files[0].revents != 0)
        return -ECANCELED;
    bool closed = false;
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        if ((files[i + 1].revents & POLLIN) != 0)
            closed = take_edges(&sensors->sensor[i]) || closed;
        /* A chip that was pulled out would be reported again and again. */
        if ((files[i + 1].revents & ~POLLIN) != 0)
            files[i + 1].fd = -1;
    }
    if (closed)
        put_reading(sensors);
    return count;
}

/* Listens until then; however late that gets, what has arrived is taken. Returns false where the
 * thread shall end. */
static bool listen_until(struct gpio_sensors *sensors, uint64_t end_ns) {
    struct pollfd files[BEHAVIOUR_SENSORS + 1] = {{.fd = sensors->stop[0], .events = POLLIN}};
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        struct gpio_line *input = sensors->sensor[i].input;
        files[i + 1].fd = input != NULL ? gpio_line_descriptor(input) : -1;
        files[i + 1].events = POLLIN;
    }
    for (;;) {
        uint64_t now_ns = clock_now_ns();
        int count = listen_once(sensors, files, now_ns < end_ns ? end_ns - now_ns : 0);
        if (count < 0)
            return false;
        /* A line that chatters without end must not keep it here. */
        if (now_ns >= end_ns && (count == 0 || now_ns - end_ns > ECHO_SLOT_NS))
            return true;
    }
}

static void *sense_for_ever(void *argument) {
    struct gpio_sensors *sensors = argument;
    bool goes_on = true;
    for (int group = 0; goes_on; group = (group + 1) % GROUPS) {
        slot_begins(sensors, group);
        /* From here on: whoever was triggered last has the whole time, too. */
        goes_on = listen_until(sensors, clock_now_ns() + ECHO_SLOT_NS);
        slot_ends(sensors, group);
    }
    return NULL;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_sensor(struct gpio_sensor *sensor, struct gpio_chip *chip,
                       const struct gpio_config_sensor *config, struct omni_problem *problem) {
    const char *user = "omni-robot sensor";
    sensor->trigger_ns = config->trigger_us * CLOCK_NS_A_MICROSECOND;
    sensor->contact.quiet_ns = config->debounce_ms * CLOCK_NS_A_MILLISECOND;
    if (config->contact.is_given)
        return gpio_line_input(&sensor->input, chip, &config->contact.wish, user, problem);
    if (!config->echo.is_given)
        return 0;
    int error = gpio_line_input(&sensor->input, chip, &config->echo.wish, user, problem);
    if (error < 0)
        return error;
    return gpio_line_output(&sensor->trigger, chip, &config->trigger.wish, user, problem);
}

static void release_lines(struct gpio_sensors *sensors) {
    for (int i = 0; i < BEHAVIOUR_SENSORS; i++) {
        gpio_line_release(sensors->sensor[i].trigger);
        gpio_line_release(sensors->sensor[i].input);
    }
}

static int start(struct gpio_sensors *sensors, int priority) {
    if (pipe2(sensors->stop, O_CLOEXEC) < 0)
        return -errno;
    int error = thread_start(&sensors->thread, sense_for_ever, sensors, priority);
    if (error < 0) {
        (void)close(sensors->stop[0]);
        (void)close(sensors->stop[1]);
    }
    return error;
}

int gpio_sensors_open(struct gpio_sensors *sensors, struct gpio_chip *chip,
                      const struct gpio_config *config, int priority,
                      struct omni_problem *problem) {
    memset(sensors, 0, sizeof *sensors);
    mailbox_init(&sensors->newest, sizeof(struct board_reading));
    int error = 0;
    for (int i = 0; error == 0 && i < BEHAVIOUR_SENSORS; i++)
        error = open_sensor(&sensors->sensor[i], chip, &config->sensors[i], problem);
    if (error < 0)
        goto release;
    error = start(sensors, priority);
    if (error == 0)
        return 0;
    complain_write(problem, "the sensors' thread cannot be started: %s", strerror(-error));
release:
    release_lines(sensors);
    return error;
}

int gpio_sensors_newest(const struct gpio_sensors *sensors, struct board_reading *reading,
                        uint64_t *read_ns) {
    struct omni_time time;
    int error = mailbox_newest(&sensors->newest, reading, &time);
    if (error == 0)
        *read_ns = time.monotonic_ns;
    return error;
}

void gpio_sensors_close(struct gpio_sensors *sensors) {
    (void)close(sensors->stop[1]);
    (void)pthread_join(sensors->thread, NULL);
    (void)close(sensors->stop[0]);
    release_lines(sensors);
}
