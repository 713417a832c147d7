#include "gpio_lines.h"

#include <dirent.h>
#include <errno.h>
#include <gpiod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"

#define EDGES_MOST 16

#define PATH_BYTES 300

struct gpio_chip {
    struct gpiod_chip *chip;
};

/* ---- what differs between the generations ---------------------------------------------------- */

/* Only the first one has it. */
#ifdef GPIOD_LINE_BULK_MAX_LINES

struct gpio_line {
    struct gpiod_line *line;
};

static bool has_label(struct gpiod_chip *chip, const char *label) {
    return strcmp(gpiod_chip_label(chip), label) == 0;
}

unsigned gpio_chip_lines(const struct gpio_chip *chip) {
    return gpiod_chip_num_lines(chip->chip);
}

static int request(struct gpio_line *line, struct gpio_chip *chip, const struct gpio_wish *wish,
                   const char *user, bool output) {
    static const int biases[] = {
        [GPIO_BIAS_AS_IS] = 0,
        [GPIO_BIAS_PULL_UP] = GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP,
        [GPIO_BIAS_PULL_DOWN] = GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN,
    };
    struct gpiod_line_request_config config = {
        .consumer = user,
        .request_type =
            output ? GPIOD_LINE_REQUEST_DIRECTION_OUTPUT : GPIOD_LINE_REQUEST_EVENT_BOTH_EDGES,
        .flags = biases[wish->bias] | (wish->active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0),
    };
    line->line = gpiod_chip_get_line(chip->chip, wish->offset);
    if (line->line == NULL)
        return -errno;
    return gpiod_line_request(line->line, &config, 0) < 0 ? -errno : 0;
}

int gpio_line_set(struct gpio_line *line, bool active) {
    return gpiod_line_set_value(line->line, active) < 0 ? -errno : 0;
}

int gpio_line_get(struct gpio_line *line) {
    int value = gpiod_line_get_value(line->line);
    return value < 0 ? -errno : value;
}

int gpio_line_descriptor(const struct gpio_line *line) {
    return gpiod_line_event_get_fd(line->line);
}

int gpio_line_edges(struct gpio_line *line, struct gpio_edge *edges, int most) {
    struct gpiod_line_event events[EDGES_MOST];
    int count = gpiod_line_event_read_multiple(line->line, events, (unsigned)most);
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++)
        edges[i] = (struct gpio_edge){
            .at_ns = (uint64_t)events[i].ts.tv_sec * 1000000000u + (uint64_t)events[i].ts.tv_nsec,
            .active = events[i].event_type == GPIOD_LINE_EVENT_RISING_EDGE,
        };
    return count;
}

static void give_back(struct gpio_line *line) {
    gpiod_line_release(line->line);
}

#else

struct gpio_line {
    struct gpiod_line_request *request;
    struct gpiod_edge_event_buffer *buffer;
    unsigned offset;
};

static bool has_label(struct gpiod_chip *chip, const char *label) {
    struct gpiod_chip_info *info = gpiod_chip_get_info(chip);
    bool has = info != NULL && strcmp(gpiod_chip_info_get_label(info), label) == 0;
    gpiod_chip_info_free(info);
    return has;
}

unsigned gpio_chip_lines(const struct gpio_chip *chip) {
    struct gpiod_chip_info *info = gpiod_chip_get_info(chip->chip);
    unsigned lines = info != NULL ? (unsigned)gpiod_chip_info_get_num_lines(info) : 0;
    gpiod_chip_info_free(info);
    return lines;
}

static int describe(struct gpiod_line_settings *settings, const struct gpio_wish *wish,
                    bool output) {
    static const enum gpiod_line_bias biases[] = {
        [GPIO_BIAS_AS_IS] = GPIOD_LINE_BIAS_AS_IS,
        [GPIO_BIAS_PULL_UP] = GPIOD_LINE_BIAS_PULL_UP,
        [GPIO_BIAS_PULL_DOWN] = GPIOD_LINE_BIAS_PULL_DOWN,
    };
    gpiod_line_settings_set_active_low(settings, wish->active_low);
    int failed = gpiod_line_settings_set_direction(settings, output ? GPIOD_LINE_DIRECTION_OUTPUT
                                                                    : GPIOD_LINE_DIRECTION_INPUT);
    failed |= gpiod_line_settings_set_bias(settings, biases[wish->bias]);
    failed |= gpiod_line_settings_set_output_value(settings, GPIOD_LINE_VALUE_INACTIVE);
    if (!output)
        failed |= gpiod_line_settings_set_edge_detection(settings, GPIOD_LINE_EDGE_BOTH);
    return failed != 0 ? -EINVAL : 0;
}

static int request(struct gpio_line *line, struct gpio_chip *chip, const struct gpio_wish *wish,
                   const char *user, bool output) {
    int error = -ENOMEM;
    struct gpiod_line_settings *settings = gpiod_line_settings_new();
    struct gpiod_line_config *config = gpiod_line_config_new();
    struct gpiod_request_config *how = gpiod_request_config_new();
    line->offset = wish->offset;
    line->buffer = output ? NULL : gpiod_edge_event_buffer_new(EDGES_MOST);
    if (settings == NULL || config == NULL || how == NULL || (!output && line->buffer == NULL))
        goto free_all;
    error = describe(settings, wish, output);
    if (error < 0)
        goto free_all;
    gpiod_request_config_set_consumer(how, user);
    if (gpiod_line_config_add_line_settings(config, &line->offset, 1, settings) < 0)
        error = -errno;
    if (error == 0 && (line->request = gpiod_chip_request_lines(chip->chip, how, config)) == NULL)
        error = -errno;
free_all:
    gpiod_request_config_free(how);
    gpiod_line_config_free(config);
    gpiod_line_settings_free(settings);
    if (error < 0)
        gpiod_edge_event_buffer_free(line->buffer);
    return error;
}

int gpio_line_set(struct gpio_line *line, bool active) {
    enum gpiod_line_value value = active ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;
    return gpiod_line_request_set_value(line->request, line->offset, value) < 0 ? -errno : 0;
}

int gpio_line_get(struct gpio_line *line) {
    enum gpiod_line_value value = gpiod_line_request_get_value(line->request, line->offset);
    return value == GPIOD_LINE_VALUE_ERROR ? -errno : value == GPIOD_LINE_VALUE_ACTIVE;
}

int gpio_line_descriptor(const struct gpio_line *line) {
    return gpiod_line_request_get_fd(line->request);
}

int gpio_line_edges(struct gpio_line *line, struct gpio_edge *edges, int most) {
    int count = gpiod_line_request_read_edge_events(line->request, line->buffer, (size_t)most);
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        struct gpiod_edge_event *event =
            gpiod_edge_event_buffer_get_event(line->buffer, (unsigned long)i);
        edges[i] = (struct gpio_edge){
            .at_ns = gpiod_edge_event_get_timestamp_ns(event),
            .active = gpiod_edge_event_get_event_type(event) == GPIOD_EDGE_EVENT_RISING_EDGE,
        };
    }
    return count;
}

static void give_back(struct gpio_line *line) {
    gpiod_line_request_release(line->request);
    gpiod_edge_event_buffer_free(line->buffer);
}

#endif

/* ---- chips ----------------------------------------------------------------------------------- */

static struct gpiod_chip *open_by_label(const char *label) {
    struct gpiod_chip *found = NULL;
    int error = ENOENT;
    DIR *devices = opendir("/dev");
    if (devices == NULL)
        return NULL;
    for (struct dirent *entry; found == NULL && (entry = readdir(devices)) != NULL;) {
        char path[PATH_BYTES];
        if (strncmp(entry->d_name, "gpiochip", strlen("gpiochip")) != 0)
            continue;
        (void)snprintf(path, sizeof path, "/dev/%s", entry->d_name);
        struct gpiod_chip *chip = gpiod_chip_open(path);
        if (chip != NULL && has_label(chip, label))
            found = chip;
        else if (chip != NULL)
            gpiod_chip_close(chip);
        else if (errno == EACCES || errno == EPERM)
            error = errno; /* it may be that one */
    }
    (void)closedir(devices);
    if (found == NULL)
        errno = error;
    return found;
}

static struct gpiod_chip *open_named(const char *named) {
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s%s", named[0] == '/' ? "" : "/dev/", named);
    struct gpiod_chip *chip = gpiod_chip_open(path);
    if (chip != NULL || errno != ENOENT || named[0] == '/')
        return chip;
    return open_by_label(named);
}

static bool has_chips(void) {
    bool found = false;
    DIR *devices = opendir("/dev");
    if (devices == NULL)
        return false;
    for (struct dirent *entry; !found && (entry = readdir(devices)) != NULL;)
        found = strncmp(entry->d_name, "gpiochip", strlen("gpiochip")) == 0;
    (void)closedir(devices);
    return found;
}

static const char *hint(int error) {
    if (error == -EACCES)
        return "; may this user? Mostly: sudo usermod -aG gpio USER, and log in again";
    if (error == -EPERM)
        return "; a service's unit has to say: DeviceAllow=char-gpiochip rw";
    if (error != -ENOENT)
        return "";
    return has_chips() ? "; gpiodetect (of the package gpiod) shows which there are"
                       : "; this machine has none: there is no /dev/gpiochip0";
}

int gpio_chip_open(struct gpio_chip **chip, const char *named, struct omni_problem *problem) {
    struct gpio_chip *made = malloc(sizeof *made);
    if (made == NULL)
        return complain(problem, -ENOMEM, "no memory for a GPIO chip");
    made->chip = open_named(named);
    if (made->chip == NULL) {
        int error = -errno;
        free(made);
        return complain(problem, error, "GPIO chip %.80s: %s%s", named, strerror(-error),
                        hint(error));
    }
    *chip = made;
    return 0;
}

void gpio_chip_close(struct gpio_chip *chip) {
    if (chip == NULL)
        return;
    gpiod_chip_close(chip->chip);
    free(chip);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static int open_line(struct gpio_line **line, struct gpio_chip *chip, const struct gpio_wish *wish,
                     const char *user, bool output, struct omni_problem *problem) {
    struct gpio_line *made = calloc(1, sizeof *made);
    if (made == NULL)
        return complain(problem, -ENOMEM, "no memory for a GPIO line");
    int error = request(made, chip, wish, user, output);
    if (error < 0) {
        free(made);
        return complain(problem, error, "GPIO line %u (%.60s): %s%s", wish->offset, user,
                        strerror(-error), error == -EBUSY ? "; gpioinfo shows who has it" : "");
    }
    *line = made;
    return 0;
}

int gpio_line_output(struct gpio_line **line, struct gpio_chip *chip, const struct gpio_wish *wish,
                     const char *user, struct omni_problem *problem) {
    return open_line(line, chip, wish, user, true, problem);
}

int gpio_line_input(struct gpio_line **line, struct gpio_chip *chip, const struct gpio_wish *wish,
                    const char *user, struct omni_problem *problem) {
    return open_line(line, chip, wish, user, false, problem);
}

void gpio_line_release(struct gpio_line *line) {
    if (line == NULL)
        return;
    give_back(line);
    free(line);
}
