// SPDX-License-Identifier: Apache-2.0
#include "lib/base/metrics.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"

#define SERIES_MAX 256

// From one millisecond, where our RPCs live, to the minutes of a copy.
static const double bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60};

struct metric_series {
    char *values[2];
    double value; // of a histogram: the sum
    uint64_t observations;
    uint64_t buckets[ARRAY_SIZE(bounds)];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // protects the list and every metric
static struct metric *all;
static time_t started;

void metric_register(struct metric *m) {
    LOCK_SCOPE(&lock);
    if (!started)
        started = time(NULL);
    for (struct metric **at = &all;; at = &(*at)->next) {
        if (*at == m)
            return;
        if (!*at) {
            *at = m;
            m->next = NULL;
            return;
        }
    }
}

static bool matches(const struct metric_series *s, const char *const values[2]) {
    return str_eq(s->values[0], values[0]) && str_eq(s->values[1], values[1]);
}

static struct metric_series *series_new(struct metric *m, const char *const values[2]) {
    struct metric_series *grown = mem_realloc(m->series, m->count + 1, sizeof *grown);
    if (!grown)
        return NULL;
    m->series = grown;
    struct metric_series *s = &grown[m->count];
    *s = (struct metric_series){.values = {mem_strdup(values[0]), mem_strdup(values[1])}};
    if ((values[0] && !s->values[0]) || (values[1] && !s->values[1])) {
        free(s->values[0]);
        free(s->values[1]);
        return NULL;
    }
    m->count++;
    return s;
}

// The series of two label values; NULL only when memory is out, and then nothing is counted.
static struct metric_series *series(struct metric *m, const char *label0, const char *label1) {
    const char *values[2] = {label0, label1};
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < m->count; i++)
            if (matches(&m->series[i], values))
                return &m->series[i];
        if (m->count < SERIES_MAX || again)
            return series_new(m, values);
        for (size_t i = 0; i < 2; i++)
            values[i] = m->labels[i] ? "other" : NULL;
    }
    return NULL;
}

void metric_add(struct metric *m, const char *label0, const char *label1, double value) {
    LOCK_SCOPE(&lock);
    struct metric_series *s = series(m, label0, label1);
    if (s)
        s->value += value;
}

void metric_set(struct metric *m, const char *label0, const char *label1, double value) {
    LOCK_SCOPE(&lock);
    struct metric_series *s = series(m, label0, label1);
    if (s)
        s->value = value;
}

void metric_observe_seconds(struct metric *m, const char *label0, const char *label1, double seconds) {
    LOCK_SCOPE(&lock);
    struct metric_series *s = series(m, label0, label1);
    if (!s)
        return;
    s->value += seconds;
    s->observations++;
    for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
        s->buckets[i] += seconds <= bounds[i];
}

static void escape_label(struct str *out, const char *value) {
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            (void)str_printf(out, "\\%c", *value);
        else if (*value == '\n')
            (void)str_append(out, "\\n");
        else
            (void)str_append_bytes(out, value, 1);
    }
}

static void render_labels(struct str *out, const struct metric *m, const struct metric_series *s, const char *le) {
    const char *separator = "{";
    for (size_t i = 0; i < 2; i++) {
        if (!m->labels[i] || !s->values[i])
            continue;
        (void)str_printf(out, "%s%s=\"", separator, m->labels[i]);
        escape_label(out, s->values[i]);
        (void)str_append(out, "\"");
        separator = ",";
    }
    if (le)
        (void)str_printf(out, "%sle=\"%s\"", separator, le);
    if (le || *separator == ',')
        (void)str_append(out, "}");
}

static void render_histogram(struct str *out, const struct metric *m, const struct metric_series *s) {
    for (size_t i = 0; i <= ARRAY_SIZE(bounds); i++) {
        char le[24] = "+Inf";
        bool last = i == ARRAY_SIZE(bounds);
        if (!last)
            (void)snprintf(le, sizeof le, "%g", bounds[i]);
        (void)str_printf(out, "%s_bucket", m->name);
        render_labels(out, m, s, le);
        (void)str_printf(out, " %llu\n", (unsigned long long)(last ? s->observations : s->buckets[i]));
    }
    (void)str_printf(out, "%s_sum", m->name);
    render_labels(out, m, s, NULL);
    (void)str_printf(out, " %.9g\n%s_count", s->value, m->name);
    render_labels(out, m, s, NULL);
    (void)str_printf(out, " %llu\n", (unsigned long long)s->observations);
}

static void render_metric(struct str *out, struct metric *m) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    (void)str_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, types[m->type]);
    if (m->collect)
        m->collect(m->arg, out);
    if (m->read)
        (void)str_printf(out, "%s %.17g\n", m->name, m->read(m->arg));
    for (size_t i = 0; i < m->count; i++) {
        if (m->type == METRIC_HISTOGRAM) {
            render_histogram(out, m, &m->series[i]);
            continue;
        }
        (void)str_append(out, m->name);
        render_labels(out, m, &m->series[i], NULL);
        (void)str_printf(out, " %.17g\n", m->series[i].value);
    }
}

static void render_process(struct str *out) {
    long pages = 0, threads = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%*d %ld", &pages) != 1)
            pages = 0;
        (void)fclose(f);
    }
    f = fopen("/proc/self/stat", "re");
    if (f) {
        if (fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld", &threads) != 1)
            threads = 0;
        (void)fclose(f);
    }
    (void)str_printf(out,
                     "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %ld\n"
                     "# TYPE process_threads gauge\nprocess_threads %ld\n"
                     "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %lld\n",
                     pages * sysconf(_SC_PAGESIZE), threads, (long long)started);
}

int metrics_render(struct str *out) {
    LOCK_SCOPE(&lock);
    for (struct metric *m = all; m; m = m->next)
        render_metric(out, m);
    render_process(out);
    return out->failed ? -1 : 0;
}
