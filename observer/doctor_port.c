/* Where visitors come in: the ports, the token, and the page of an observer that runs already. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <omni/region.h>

#include "access.h"
#include "doctor.h"
#include "door.h"
#include "probe.h"
#include "serve.h"

enum { REMEDY_BYTES = 600 };

/* ---- whose port ---- */

/* A socket that listens. */
struct listener {
    unsigned long inode;
    unsigned long owner;
};

static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};

enum { TABLES = sizeof tables / sizeof tables[0] };

/* The next one at that port in such a table. */
static bool next_listener(struct listener *listener, FILE *table, unsigned port) {
    enum { LISTENING = 0x0A };
    char line[512];
    while (fgets(line, sizeof line, table) != NULL) {
        /* sl local:port remote:port state tx:rx tr:when retransmits uid timeout inode */
        char *at = line;
        char *words[10];
        int count = 0;
        for (char *word; count < 10 && (word = strtok_r(at, " \n", &at)) != NULL; count++)
            words[count] = word;
        const char *colon = count == 10 ? strrchr(words[1], ':') : NULL;
        if (colon == NULL || strtoul(colon + 1, NULL, 16) != port ||
            strtoul(words[3], NULL, 16) != LISTENING)
            continue;
        listener->owner = strtoul(words[7], NULL, 10);
        listener->inode = strtoul(words[9], NULL, 10);
        return true;
    }
    return false;
}

/* The inode of the socket that listens at that port; 0: none. */
static unsigned long listener_inode(const char *path, unsigned port) {
    struct listener listener = {.inode = 0};
    FILE *table = fopen(path, "re");
    if (table == NULL)
        return 0;
    (void)next_listener(&listener, table, port);
    (void)fclose(table);
    return listener.inode;
}

/* Anybody may listen at a port that is free, and answer like an observer, to be told a token: whoever
 * has it must be this user, or root (systemd, which holds it for one). */
static bool is_ours(unsigned port) {
    unsigned ours = 0;
    unsigned others = 0;
    for (int i = 0; i < TABLES; i++) {
        struct listener listener;
        FILE *table = fopen(tables[i], "re");
        while (table != NULL && next_listener(&listener, table, port)) {
            bool is_own = listener.owner == geteuid() || listener.owner == 0;
            ours += is_own;
            others += !is_own;
        }
        if (table != NULL)
            (void)fclose(table);
    }
    return ours > 0 && others == 0;
}

static bool holds(const char *process, const char *socket) {
    char path[PATH_MAX];
    char target[64];
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%s/fd", process);
    DIR *folder = opendir(path);
    struct dirent *entry = NULL;
    while (folder != NULL && !found && (entry = readdir(folder)) != NULL) {
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        found = strcmp(target, socket) == 0;
    }
    if (folder != NULL)
        (void)closedir(folder);
    return found;
}

/* Who has a port; process 0: not known. */
struct holder {
    char name[32];
    long process;
};

static void name_holder(struct holder *holder, const char *process) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "/proc/%s/comm", process);
    FILE *file = fopen(path, "re");
    if (file != NULL && fgets(holder->name, sizeof holder->name, file) != NULL)
        holder->name[strcspn(holder->name, "\n")] = '\0';
    if (file != NULL)
        (void)fclose(file);
    holder->process = strtol(process, NULL, 10);
}

/* As far as this user may know. */
static struct holder find_holder(unsigned port) {
    struct holder holder = {.name = "", .process = 0};
    char socket[48];
    unsigned long inode = 0;
    for (int i = 0; i < TABLES && inode == 0; i++)
        inode = listener_inode(tables[i], port);
    (void)snprintf(socket, sizeof socket, "socket:[%lu]", inode);
    DIR *processes = inode != 0 ? opendir("/proc") : NULL;
    struct dirent *entry = NULL;
    while (processes != NULL && holder.process == 0 && (entry = readdir(processes)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) && holds(entry->d_name, socket))
            name_holder(&holder, entry->d_name);
    if (processes != NULL)
        (void)closedir(processes);
    return holder;
}

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
    (void)snprintf(remedy, sizeof remedy, "kill -CONT %ld", holder->process);
    doctor_say(doctor, DOCTOR_MEND, remedy,
               "%s: the observer there (process %ld) does not answer: it is suspended, or hangs",
               listen, holder->process);
}

static void blame_other(struct doctor *doctor, const char *listen, const struct holder *holder) {
    char remedy[REMEDY_BYTES];
    suggest_next(remedy, listen);
    if (holder->process != 0)
        doctor_say(doctor, DOCTOR_MEND, remedy, "%s is taken by %s (process %ld)", listen,
                   holder->name, holder->process);
    else
        doctor_say(doctor, DOCTOR_MEND, remedy, "%s is taken by another program", listen);
}

/* Whether it is an observer that answers. */
static bool judge_taken(struct doctor *doctor, const char *listen) {
    int error = 0;
    cJSON *health = ask_health(listen, &error);
    if (health != NULL) {
        doctor_say(doctor, DOCTOR_OK, "", "%s: an observer answers there already", listen);
        cJSON_Delete(health);
        return true;
    }
    struct holder holder = find_holder(port_of(listen));
    bool is_observer = strcmp(holder.name, "omni-observer") == 0;
    (error == -ETIMEDOUT && is_observer ? blame_hang : blame_other)(doctor, listen, &holder);
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
    serve_explain_token(&problem, path, error);
    if (error == -EPERM)
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

static void check_observer(struct doctor *doctor, const char *listen, const char *version) {
    struct probe_answer answer;
    char token[ACCESS_TOKEN_BYTES] = "";
    bool may_know = is_ours(port_of(listen));
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
