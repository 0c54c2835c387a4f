// SPDX-License-Identifier: Apache-2.0
// One JSON line per event on standard error (or readable text when that is a terminal).
//
// Why:     an error is logged once, at the edge that answers for it; libraries log at debug only.
// Threads: any; a line is written by one write(2).
// Fails:   never; a line that cannot be written is dropped.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

struct log_field {
    const char *key;
    const char *text; // NULL: the number counts
    int64_t number;
};
static inline struct log_field log_text(const char *key, const char *text) {
    return (struct log_field){.key = key, .text = text ? text : ""};
}
#define LOG_S(k, v) log_text((k), (v))
#define LOG_I(k, v) ((struct log_field){.key = (k), .number = (int64_t)(v)})

// `component` (static storage) names the process in every line.
void log_init(const char *component, enum log_level level, enum log_format format);
int log_level_parse(const char *text, enum log_level *ret); // debug|info|warning|error; -EINVAL

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count);

// log_info("volume staged", LOG_S("volume", id), LOG_I("ms", ms));
#define LOG_CALL_(level, event, ...)                                                                                   \
    log_write(level, event, (const struct log_field[]){__VA_ARGS__},                                                   \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define log_debug(event, ...) LOG_CALL_(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) LOG_CALL_(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warning(event, ...) LOG_CALL_(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define log_error(event, ...) LOG_CALL_(LOG_LEVEL_ERROR, event, __VA_ARGS__)
