// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/json.h"
#include "lib/base/str.h"

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static struct {
    const char *component;
    enum log_level level;
    bool text;
} settings = {.component = "stowage", .level = LOG_LEVEL_INFO};

void log_init(const char *component, enum log_level level, enum log_format format) {
    settings.component = component;
    settings.level = level;
    settings.text = format == LOG_FORMAT_TEXT || (format == LOG_FORMAT_AUTO && isatty(STDERR_FILENO));
}

int log_level_parse(const char *text, enum log_level *ret) {
    for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
        if (str_eq_nocase(text, level_names[i])) {
            *ret = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

static void append_time(struct str *line, bool with_date) {
    struct timespec now;
    struct tm parts;
    char text[40];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)str_printf(line, "%s.%03ldZ", with_date ? text : strchr(text, 'T') + 1, now.tv_nsec / 1000000);
}

static void format_json(struct str *line, enum log_level level, const char *event, const struct log_field *fields,
                        size_t count) {
    (void)str_append(line, "{\"time\":\"");
    append_time(line, true);
    (void)str_printf(line, "\",\"level\":\"%s\",\"component\":\"%s\",\"event\":", level_names[level],
                     settings.component);
    (void)json_append_quoted(line, event);
    for (size_t i = 0; i < count; i++) {
        (void)str_append(line, ",");
        (void)json_append_quoted(line, fields[i].key);
        (void)str_append(line, ":");
        if (fields[i].text)
            (void)json_append_quoted(line, fields[i].text);
        else
            (void)str_printf(line, "%" PRId64, fields[i].number);
    }
    (void)str_append(line, "}\n");
}

static void format_text(struct str *line, enum log_level level, const char *event, const struct log_field *fields,
                        size_t count) {
    append_time(line, false);
    (void)str_printf(line, " %-7s %s", level_names[level], event);
    for (size_t i = 0; i < count; i++) {
        (void)str_printf(line, " %s=", fields[i].key);
        if (fields[i].text)
            (void)json_append_quoted(line, fields[i].text);
        else
            (void)str_printf(line, "%" PRId64, fields[i].number);
    }
    (void)str_append(line, "\n");
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count) {
    if (level < settings.level)
        return;
    struct str line cleanup_str = {0};
    if (settings.text)
        format_text(&line, level, event, fields, count);
    else
        format_json(&line, level, event, fields, count);
    if (!line.failed && write(STDERR_FILENO, line.data, line.len) < 0)
        return; // nowhere to report it
}
