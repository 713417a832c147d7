/* Where visitors come in: the ports, the token, and the page of an observer that runs already. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omni/region.h>

#include "access.h"
#include "doctor.h"
#include "door.h"
#include "holder.h"
#include "probe.h"
#include "serve.h"

enum { REMEDY_BYTES = 600 };

/* ---- is it ours? ---- */

/* What /healthz says, to be deleted; NULL where no observer answers. */
static cJSON *ask_health(const char *listen, int *error) {
    struct probe_answer answer;
    *error = probe_ask(&answer, listen, "/healthz", "");
    if (*error < 0)
        return NULL;
    cJSON *health = answer.status == 200 ? cJSON_Parse(answer.body) : NULL;
    probe_free(&answer);
    if (cJSON_IsString(cJSON_GetObjectItem(health, "version")) &&
        cJSON_IsNumber(cJSON_GetObjectItem(health, "sources")))
        return health;
    cJSON_Delete(health);
    return NULL;
}

static unsigned port_of(const char *listen) {
    const char *colon = strrchr(listen, ':');
    return colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
}

/* The same address at the next port. */
static void suggest_next(char remedy[REMEDY_BYTES], const char *listen) {
    unsigned port = port_of(listen);
    (void)snprintf(remedy, REMEDY_BYTES, "omni-observer --listen %.*s:%u",
                   (int)(strrchr(listen, ':') - listen), listen,
                   port < 65535 && port >= 1024 ? port + 1 : 8080);
}

static void blame_hang(struct doctor *doctor, const char *listen, const struct holder *holder) {
    char remedy[REMEDY_BYTES];
    (void)snprintf(remedy, sizeof remedy, "%skill -CONT %ld", doctor_sudo_signal(holder->process),
                   (long)holder->process);
    doctor_say(doctor, DOCTOR_MEND, remedy,
               "%s: the observer there (process %ld) does not answer: it is suspended, or hangs",
               listen, (long)holder->process);
}

static void blame_other(struct doctor *doctor, const char *listen, const struct holder *holder) {
    char remedy[REMEDY_BYTES];
    suggest_next(remedy, listen);
    if (holder == NULL)
        doctor_say(doctor, DOCTOR_MEND, remedy, "%s is taken by another program", listen);
    else if (holder->process == 0)
        doctor_say(doctor, DOCTOR_MEND, remedy, "%s is taken by a program of user %lu", listen,
                   (unsigned long)holder->user);
    else
        doctor_say(doctor, DOCTOR_MEND, remedy, "%s is taken by %s (process %ld)", listen,
                   holder->name, (long)holder->process);
}

/* Whether it is an observer that answers. */
static bool judge_taken(struct doctor *doctor, const char *listen) {
    struct holder holder;
    int error = 0;
    cJSON *health = ask_health(listen, &error);
    if (health != NULL) {
        doctor_say(doctor, DOCTOR_OK, "", "%s: an observer answers there already", listen);
        cJSON_Delete(health);
        return true;
    }
    bool is_known = holder_find(&holder, listen);
    if (is_known && error == -ETIMEDOUT && strcmp(holder.name, "omni-observer") == 0)
        blame_hang(doctor, listen, &holder);
    else
        blame_other(doctor, listen, is_known ? &holder : NULL);
    return false;
}

static void judge_refused(struct doctor *doctor, const char *listen, int error) {
    char remedy[REMEDY_BYTES];
    suggest_next(remedy, listen);
    if (error == -EADDRNOTAVAIL)
        doctor_say(doctor, DOCTOR_MEND, "ip -brief address", "%s is no address of this machine",
                   listen);
    else if (error == -EACCES)
        doctor_say(doctor, DOCTOR_MEND, remedy, "%s: this user may not listen at a port below 1024",
                   listen);
    else
        doctor_say(doctor, DOCTOR_MEND, remedy, "%s: %s", listen, strerror(-error));
}

void doctor_check_port(struct doctor *doctor) {
    const struct options_texts *listens = &doctor->options->listen;
    for (size_t i = 0; i < listens->count && i < DOCTOR_LISTENS_MAX; i++) {
        const char *one[] = {listens->items[i], NULL};
        struct door_options how = {.listen = one, .undecided_max = 1, .header_seconds = 1};
        struct omni_problem problem;
        struct door *door = NULL;
        int error = door_listen(&door, &how, &problem);
        door_close(door);
        if (error == 0)
            doctor_say(doctor, DOCTOR_OK, "", "%s is free", one[0]);
        else if (error == -EADDRINUSE)
            doctor->answers[i] = judge_taken(doctor, one[0]);
        else
            judge_refused(doctor, one[0], error);
    }
}

/* ---- the token ---- */

static void blame_token(struct doctor *doctor, int error) {
    const char *path = doctor->options->token_file;
    char remedy[REMEDY_BYTES];
    struct omni_problem problem;
    struct stat facts;
    bool is_others = lstat(path, &facts) == 0 && facts.st_uid != geteuid();
    serve_explain_token(&problem, path, error);
    if (is_others && (error == -EPERM || error == -EACCES))
        (void)snprintf(remedy, sizeof remedy, "sudo -u '#%lu' omni-observer doctor --token-file %s",
                       (unsigned long)facts.st_uid, path);
    else if (error == -EPERM)
        (void)snprintf(remedy, sizeof remedy, "chmod 600 %s", path);
    else if (error == -EBADMSG)
        (void)snprintf(remedy, sizeof remedy, "rm %s", path);
    else
        (void)snprintf(remedy, sizeof remedy, "omni-observer --token-file FILE");
    doctor_say(doctor, DOCTOR_MEND, remedy, "%s", problem.text);
}

/* Whether the nearest folder above `path` that is there can be written to. */
static bool can_be_made(const char *path) {
    char parent[PATH_MAX];
    (void)snprintf(parent, sizeof parent, "%s", path);
    for (char *slash = strrchr(parent, '/'); slash != NULL; slash = strrchr(parent, '/')) {
        slash[slash == parent] = '\0'; /* the root keeps its own */
        if (access(parent, F_OK) == 0)
            return access(parent, W_OK | X_OK) == 0;
    }
    return access(".", W_OK | X_OK) == 0;
}

/* One that the whole network reaches; NULL: there is none. */
static const char *open_address(const struct options *options) {
    for (size_t i = 0; i < options->listen.count; i++)
        if (!door_is_loopback(options->listen.items[i]))
            return options->listen.items[i];
    return NULL;
}

void doctor_check_token(struct doctor *doctor) {
    const struct options *options = doctor->options;
    struct omni_problem problem;
    char token[ACCESS_TOKEN_BYTES];
    bool needs = false;
    if (serve_needs_token(&needs, options, open_address(options), &problem) < 0) {
        doctor_say(doctor, DOCTOR_MEND, "omni-observer --require-token auto", "%s", problem.text);
        return;
    }
    if (!needs) {
        doctor_say(doctor, DOCTOR_OK, "", "none is needed: only this machine may look");
        return;
    }
    int error = access_token_peek(token, options->token_file);
    if (error == 0)
        doctor_say(doctor, DOCTOR_OK, "", "it is in %s, for you alone", options->token_file);
    else if (error != -ENOENT)
        blame_token(doctor, error);
    else if (can_be_made(options->token_file))
        doctor_say(doctor, DOCTOR_OK, "", "it will be made at the first start, in %s",
                   options->token_file);
    else
        blame_token(doctor, -EACCES);
}

/* ---- the page of who runs ---- */

static bool is_named(const cJSON *list, const char *name) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list) {
        const cJSON *named = cJSON_GetObjectItem(item, "name");
        if (cJSON_IsString(named) && strcmp(named->valuestring, name) == 0)
            return true;
    }
    return false;
}

/* What the observer that runs, perhaps as another user, says of its sources. */
static unsigned compare_sources(struct doctor *doctor, const char *listen, const char *body) {
    cJSON *answer = cJSON_Parse(body);
    const cJSON *refused = cJSON_GetObjectItem(answer, "refused");
    const cJSON *item = NULL;
    unsigned wrong = 0;
    cJSON_ArrayForEach(item, refused) {
        const cJSON *name = cJSON_GetObjectItem(item, "name");
        const cJSON *problem = cJSON_GetObjectItem(item, "problem");
        if (!cJSON_IsString(name) || !cJSON_IsString(problem))
            continue;
        wrong++;
        doctor_say(doctor, DOCTOR_MEND, "man omni-observer",
                   "the observer at %s cannot show %s: %s", listen, name->valuestring,
                   problem->valuestring);
    }
    for (size_t i = 0; i < doctor->robot_count; i++) {
        if (is_named(cJSON_GetObjectItem(answer, "sources"), doctor->robots[i]) ||
            is_named(refused, doctor->robots[i]))
            continue;
        wrong++;
        doctor_say(doctor, DOCTOR_MEND, "omni-observer --listen 127.0.0.1:0",
                   "the observer at %s does not show %s: it looks at another directory (was it "
                   "started with --directory?)",
                   listen, doctor->robots[i]);
    }
    cJSON_Delete(answer);
    return wrong;
}

static unsigned compare_version(struct doctor *doctor, const char *listen, const char *version) {
    if (strcmp(version, OMNI_VERSION) == 0)
        return 0;
    doctor_say(doctor, DOCTOR_MEND, "sudo systemctl restart omni-observer",
               "the observer at %s is version %s, this program " OMNI_VERSION
               ": start it again to have the new one",
               listen, version);
    return 1;
}

/* Who has no token gets no page, which is said of the sources. */
static unsigned check_root(struct doctor *doctor, const char *listen, const char *token) {
    struct probe_answer answer;
    int error = probe_ask(&answer, listen, "/", token);
    bool is_there =
        error == 0 &&
        (answer.status == 401 || (answer.status == 200 && strstr(answer.body, "<title>") != NULL));
    if (error == 0)
        probe_free(&answer);
    if (is_there)
        return 0;
    doctor_say(doctor, DOCTOR_MEND, "sudo systemctl restart omni-observer",
               "the observer at %s sends no page", listen);
    return 1;
}

/* Anybody may listen at a port that is free, and answer like an observer, to be told a token: whoever
 * has it must be this user, or root (systemd, which holds it for one). */
static bool is_ours(const char *listen) {
    struct holder holder;
    return holder_find(&holder, listen) && (holder.user == geteuid() || holder.user == 0);
}

static void check_observer(struct doctor *doctor, const char *listen, const char *version) {
    struct probe_answer answer;
    char token[ACCESS_TOKEN_BYTES] = "";
    bool may_know = is_ours(listen);
    if (may_know)
        (void)access_token_peek(token, doctor->options->token_file); /* there may be none */
    unsigned wrong = compare_version(doctor, listen, version) + check_root(doctor, listen, token);
    int error = probe_ask(&answer, listen, "/api/sources", token);
    if (error == 0 && answer.status == 200)
        wrong += compare_sources(doctor, listen, answer.body);
    if (error == 0 && answer.status == 401 && !may_know)
        doctor_say(
            doctor, DOCTOR_NOTE, "sudo -u omni-observer omni-observer doctor",
            "%s is held by another user's program, which is not told the token in %s, so what "
            "it shows is not known: ask as its user",
            listen, doctor->options->token_file);
    else if (error == 0 && answer.status == 401)
        doctor_say(doctor, DOCTOR_NOTE, "sudo -u omni-observer omni-observer doctor",
                   "the observer at %s wants a token that is not in %s, so what it shows is not "
                   "known: ask as its user, or name its --token-file",
                   listen, doctor->options->token_file);
    else if (wrong == 0)
        doctor_say(doctor, DOCTOR_OK, "", "http://%s/ answers, version %s", listen, version);
    if (error == 0)
        probe_free(&answer);
}

/* With the options that the doctor was asked with: what was looked at is what shall run. */
static void advise_observer(char remedy[600], const struct options *options) {
    size_t used = (size_t)snprintf(remedy, 600, "omni-observer");
    if (strcmp(options->directory, OMNI_DIRECTORY_DEFAULT) != 0)
        used += (size_t)snprintf(remedy + used, 600 - used, " --directory %s", options->directory);
    for (size_t i = 0; i < options->listen.count && used < 600; i++)
        if (options->listen.count > 1 || strcmp(options->listen.items[i], "127.0.0.1:8080") != 0)
            used += (size_t)snprintf(remedy + used, 600 - used, " --listen %s",
                                     options->listen.items[i]);
}

void doctor_check_page(struct doctor *doctor) {
    const struct options_texts *listens = &doctor->options->listen;
    unsigned running = 0;
    for (size_t i = 0; i < listens->count && i < DOCTOR_LISTENS_MAX; i++) {
        int error = 0;
        cJSON *health = doctor->answers[i] ? ask_health(listens->items[i], &error) : NULL;
        if (health == NULL)
            continue;
        running++;
        check_observer(doctor, listens->items[i],
                       cJSON_GetObjectItem(health, "version")->valuestring);
        cJSON_Delete(health);
    }
    if (running > 0)
        return;
    char remedy[600];
    advise_observer(remedy, doctor->options);
    doctor_say(doctor, DOCTOR_NOTE, remedy, "no observer runs there");
}
