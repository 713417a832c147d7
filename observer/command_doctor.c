#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <omni/guard.h>

#include "command.h"
#include "doctor.h"
#include "plain.h"

enum { SENTENCE_BYTES = 768 };

static void say_json(struct doctor *doctor, const char *word, const char *remedy,
                     const char *sentence) {
    struct text *text = &doctor->text;
    text_format(text, "{\"check\":\"%s\",\"grade\":\"%s\",\"text\":", doctor->check, word);
    text_json_string(text, sentence, strlen(sentence));
    text_string(text, ",\"type\":");
    if (remedy[0] != '\0')
        text_json_string(text, remedy, strlen(remedy));
    else
        text_string(text, "null");
    text_string(text, "}\n");
}

/* What is said may contain names that others chose. */
static void say_plain(struct doctor *doctor, const char *word, const char *remedy,
                      const char *sentence) {
    struct text *text = &doctor->text;
    text_format(text, "%-4s  %-9s  ", word, doctor->check);
    plain_append(text, sentence, strlen(sentence));
    if (remedy[0] != '\0') {
        text_string(text, "; type: ");
        plain_append(text, remedy, strlen(remedy));
    }
    text_string(text, "\n");
}

void doctor_say(struct doctor *doctor, enum doctor_grade grade, const char *remedy,
                const char *format, ...) {
    static const char *const words[] = {
        [DOCTOR_OK] = "ok", [DOCTOR_NOTE] = "note", [DOCTOR_MEND] = "mend"};
    char sentence[SENTENCE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    doctor->to_mend += grade == DOCTOR_MEND;
    if (grade != DOCTOR_MEND && doctor->options->quiet)
        return;
    (doctor->options->json ? say_json : say_plain)(doctor, words[grade], remedy, sentence);
}

static const struct {
    const char *name;
    void (*check)(struct doctor *doctor);
} checks[] = {
#define DOCTOR_ROW_(name) {#name, doctor_check_##name},
    DOCTOR_CHECKS(DOCTOR_ROW_)};

/* At once: the next check may take a moment. */
static int print(struct doctor *doctor) {
    size_t length = doctor->text.length;
    bool is_written =
        doctor->text.failed == false &&
        (length == 0 || fwrite(text_bytes(&doctor->text), 1, length, stdout) == length) &&
        fflush(stdout) == 0;
    text_clear(&doctor->text);
    return is_written ? 0 : -EIO;
}

int command_doctor(const struct options *options) {
    static struct doctor doctor; /* large for a stack */
    doctor = (struct doctor){.options = options};
    int error = omni_guard_install();
    (void)signal(SIGPIPE, SIG_IGN);
    text_open(&doctor.text, 0);
    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && error == 0; i++) {
        doctor.check = checks[i].name;
        checks[i].check(&doctor);
        error = print(&doctor);
    }
    text_close(&doctor.text);
    if (error < 0)
        (void)fprintf(stderr, "cannot say what is wrong: %s\n", strerror(-error));
    return error < 0 || doctor.to_mend > 0 ? EXIT_RUNTIME : EXIT_DONE;
}
