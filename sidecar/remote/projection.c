// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/projection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/projection/limits.h"

#define APART_NS (4 * NS_PER_MS) // between two versions of the files: what comes meanwhile is one
#define AGAIN_MIN_NS (100 * NS_PER_MS)
#define AGAIN_MAX_NS (2 * NS_PER_S)
#define TOO_LARGE_NS (2 * NS_PER_S)
#define BODY_MAX 4096U

int projection_open(struct projection *p, struct projector *projector, const struct project_spec *spec,
                    int64_t bytes_max, uint32_t mode, struct err *err) {
    const struct key_files_options options = {.dir = spec->dir, .bytes_max = bytes_max, .mode = mode};
    *p = (struct projection){.projector = projector, .spec = *spec, .bytes_max = bytes_max};
    int r = key_files_open(&options, &p->files, err);
    if (r < 0)
        return r;
    p->shown = key_files_any(p->files);
    (void)snprintf(p->problem, sizeof p->problem, "namespace '%s' was not read yet", spec->ns);
    return 0;
}

void projection_done(struct projection *p) {
    p->files = key_files_free(p->files);
    batch_done(&p->told);
    batch_done(&p->settled);
    watch_reader_done(&p->reader);
    str_done(&p->body);
}

// ---- what people are told --------------------------------------------------------------------------------------------

static void log_change(const struct projection *p, const char *problem) {
    if (*problem)
        log_warning(p->shown ? "files are not current" : "files are not there yet", LOG_S("namespace", p->spec.ns),
                    LOG_S("directory", p->spec.dir), LOG_S("error", problem));
    else
        log_info("files are current", LOG_S("namespace", p->spec.ns), LOG_S("directory", p->spec.dir),
                 LOG_I("keys", key_files_counts(p->files)->keys));
}

// Once, however often it is found.
static void set_problem(struct projection *p, const char *problem) {
    if (str_eq(p->problem, problem))
        return;
    log_change(p, problem);
    projector_lock(p->projector);
    (void)snprintf(p->problem, sizeof p->problem, "%s", problem);
    projector_unlock(p->projector);
}

static void set_shown(struct projection *p) {
    projector_lock(p->projector);
    p->shown = true;
    projector_unlock(p->projector);
}

static void tell_skipped(struct projection *p) {
    const struct key_files_counts *counts = key_files_counts(p->files);
    if (counts->skipped > p->skipped)
        log_warning("keys are too long to be names of files, and not shown", LOG_S("namespace", p->spec.ns),
                    LOG_I("keys", counts->skipped), LOG_S("one_begins", counts->skipped_key));
    p->skipped = counts->skipped;
}

// ---- files --------------------------------------------------------------------------------------------------------------

static void look_again(struct projection *p, int64_t now, int64_t after_ns) {
    p->look_ns = now + after_ns;
}

// Longer each time, and not all sidecars at once.
static void back_off(struct projection *p, int64_t now) {
    uint32_t chance = 0;
    int64_t pause = AGAIN_MIN_NS << (p->tries < 5 ? p->tries : 5);
    pause = pause > AGAIN_MAX_NS ? AGAIN_MAX_NS : pause;
    clock_random(&clock_system, &chance, sizeof chance);
    p->tries++;
    look_again(p, now, pause - pause * (chance % 256) / 1024);
}

static void cancel(struct projection *p) { // and from the begin, when it has ended
    p->id[0] = '\0';
    projector_lock(p->projector);
    p->cancelled = true;
    batch_done(&p->settled);
    projector_unlock(p->projector);
}

static void refuse(struct projection *p, const struct err *err, int64_t now) {
    char problem[256];
    (void)snprintf(problem, sizeof problem, "namespace '%s': %s", p->spec.ns, err_text(err));
    set_problem(p, problem);
    cancel(p);
    key_files_forget(p->files);
    p->dirty = false;
    projection_count(p, false, err->code == -E2BIG);
    look_again(p, now, err->code == -E2BIG ? TOO_LARGE_NS : AGAIN_MAX_NS);
}

static void take_settled(struct projection *p, int64_t now) {
    struct batch batch = {0};
    struct err err = ERR_NONE;
    projector_lock(p->projector);
    bool any = p->settled.id[0] && now >= p->write_ns;
    if (any) {
        batch = p->settled;
        p->settled = (struct batch){0};
    }
    projector_unlock(p->projector);
    if (!any)
        return;
    memcpy(p->id, batch.id, sizeof p->id);
    p->tries = 0;
    p->settled_ns = p->dirty ? p->settled_ns : batch.due_ns;
    p->dirty = true;
    if (key_files_apply(p->files, &batch, &err) < 0)
        refuse(p, &err, now);
}

static void tell(struct projection *p, bool any) {
    struct notifier *notifier = projector_notifier(p->projector);
    struct json *changed = key_files_take_changed(p->files);
    if (notifier && p->shown && any)
        notifier_tell(notifier, p->spec.ns, strtoll(p->id, NULL, 10), changed);
    else
        (void)json_free(changed);
}

static void show(struct projection *p, int64_t now) {
    struct err err = ERR_NONE;
    bool changed = false;
    int r = key_files_write(p->files, &changed, &err);
    int64_t done = clock_monotonic(&clock_system);
    p->write_ns = done + (r < 0 ? NS_PER_S : changed ? APART_NS : 0);
    if (changed || r == 0)
        tell(p, changed);
    if (changed)
        projection_count_update(p, done - p->settled_ns);
    if (r == -ESTALE) { // somebody took files away
        refuse(p, &err, now);
        return;
    }
    if (r < 0) {
        set_problem(p, err_text(&err));
        return;
    }
    p->dirty = false;
    set_shown(p);
    tell_skipped(p);
    projection_count(p, true, false);
    set_problem(p, "");
}

static void show_nothing(struct projection *p) {
    bool changed = false;
    struct err err = ERR_NONE;
    key_files_forget(p->files);
    if (key_files_write(p->files, &changed, &err) < 0)
        set_problem(p, err_text(&err));
    else
        set_shown(p);
}

// ---- what a request came to ---------------------------------------------------------------------------------------------

static void missing(struct projection *p, int64_t now) {
    char problem[256];
    p->id[0] = '\0';
    if (p->spec.optional && !p->shown)
        show_nothing(p);
    (void)snprintf(problem, sizeof problem,
                   "namespace '%s' does not exist: make it, by `stowage kv create %s` or a KeyValue", p->spec.ns,
                   p->spec.ns);
    set_problem(p, problem);
    look_again(p, now, NS_PER_S);
}

static void found(struct projection *p, const char *body, int64_t now) {
    struct json *told cleanup(json_freep) = NULL;
    struct err err = ERR_NONE;
    int r = json_parse(body, strlen(body), BODY_MAX, &told, &err);
    int64_t bytes = json_get_int(told, "bytes", 0), keys = json_get_int(told, "keys", 0);
    int64_t keys_max = projection_keys_max(p->bytes_max);
    if (r == 0 && (bytes > p->bytes_max || keys > keys_max))
        r = err_set(
            &err, -E2BIG,
            "it has %lld bytes in %lld keys, and the limit is %lld bytes in %lld keys: allow more bytes, or take "
            "keys away",
            (long long)bytes, (long long)keys, (long long)p->bytes_max, (long long)keys_max);
    if (r < 0)
        refuse(p, &err, now);
    else if (projection_watch(p) < 0)
        back_off(p, now);
}

static void look_ended(struct projection *p, unsigned status, const char *body, int64_t now) {
    char problem[256];
    if (status == 200) {
        found(p, body, now);
        return;
    }
    if (status == 404) {
        missing(p, now);
        return;
    }
    if (status)
        (void)snprintf(problem, sizeof problem, "namespace '%s': the store answers %u%s", p->spec.ns, status,
                       status == 401 || status == 403 ? ": the pod's token may not read it" : "");
    else
        (void)snprintf(problem, sizeof problem, "namespace '%s': the store cannot be reached", p->spec.ns);
    set_problem(p, problem);
    back_off(p, now);
}

static void request_ended(struct projection *p, int64_t now) {
    projector_lock(p->projector);
    enum projection_stage stage = p->stage;
    bool ended = p->ended, from_begin = p->overflow || p->reader.error[0];
    unsigned status = p->status;
    char *body cleanup_free = str_take(&p->body);
    if (ended) {
        p->stage = PROJECTION_IDLE;
        p->ended = false;
        if (p->overflow) // what waits lacks what came behind it
            batch_done(&p->settled);
    }
    projector_unlock(p->projector);
    if (!ended)
        return;
    projection_count(p, false, false);
    if (from_begin)
        p->id[0] = '\0';
    if (stage == PROJECTION_LOOK)
        look_ended(p, status, body ? body : "", now);
    else if (p->look_ns <= now)
        back_off(p, now);
}

int64_t projection_turn(struct projection *p, int64_t now) {
    take_settled(p, now);
    request_ended(p, now);
    if (p->dirty && now >= p->write_ns)
        show(p, now);
    if (p->stage == PROJECTION_IDLE && now >= p->look_ns && projection_look(p) < 0)
        back_off(p, now);
    int64_t tidy = key_files_tidy(p->files), next = tidy == DEADLINE_NONE ? DEADLINE_NONE : now + tidy;
    if (p->stage == PROJECTION_IDLE && p->look_ns < next)
        next = p->look_ns;
    projector_lock(p->projector);
    bool waits = p->dirty || p->settled.id[0];
    projector_unlock(p->projector);
    return waits && p->write_ns < next ? p->write_ns : next;
}
