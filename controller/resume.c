// SPDX-License-Identifier: Apache-2.0
#include "controller/resume.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/workq.h"

#define STEPS_MAX 8
#define STEP_NS (300 * NS_PER_S)
#define OPEN_NS (30 * NS_PER_S)

struct task {
    struct work work;
    struct task *next, **at; // of all tasks, so that those that never ran are freed
    struct resume *resume;
    struct share *share; // to go through the steps; or NULL:
    struct shares *shares;
    char location[CSI_ID_MAX + 1]; // to be opened
};

struct resume {
    struct resume_step steps[STEPS_MAX];
    size_t count;
    struct workq *queue;
    pthread_mutex_t lock; // protects tasks
    struct task *tasks;
};

int resume_new(const struct resume_step *steps, size_t count, struct resume **ret, struct err *err) {
    struct resume *resume = count <= STEPS_MAX ? mem_zalloc(sizeof *resume) : NULL;
    if (!resume)
        return err_set(err, -ENOMEM, "out of memory");
    (void)memcpy(resume->steps, steps, count * sizeof *steps);
    resume->count = count;
    (void)pthread_mutex_init(&resume->lock, NULL);
    int r = workq_new("resume", 1, &resume->queue, err);
    if (r < 0) {
        (void)resume_free(resume);
        return r;
    }
    *ret = resume;
    return 0;
}

static void task_free(struct task *task) {
    {
        LOCK_SCOPE(&task->resume->lock);
        *task->at = task->next;
        if (task->next)
            task->next->at = task->at;
    }
    task->share = share_free(task->share);
    free(task);
}

static void run_steps(struct resume *resume, struct share *share) {
    for (size_t i = 0; i < resume->count && !workq_stopping(resume->queue); i++) {
        const struct resume_step *step = &resume->steps[i];
        struct err err = ERR_NONE;
        int r = step->run(step->self, share, clock_monotonic(&clock_system) + STEP_NS, &err);
        if (r < 0)
            log_warning("unfinished work not taken up", LOG_S("share", share->text), LOG_S("step", step->name),
                        LOG_S("error", err_text(&err)));
    }
}

static void open_known(struct shares *shares, const char *text) {
    struct share_location location cleanup(share_location_done) = {0};
    struct share *share cleanup(share_freep) = NULL;
    struct err err = ERR_NONE;
    int r = share_location_parse(text, &location, &err);
    if (r == 0) // resume_share follows from the registry
        r = shares_get(shares, &location, false, clock_monotonic(&clock_system) + OPEN_NS, &share, &err);
    if (r < 0 && r != -ENOENT)
        log_warning("known share not opened", LOG_S("share", text), LOG_S("error", err_text(&err)));
}

static void run(struct work *work) {
    struct task *task = (struct task *)work;
    if (task->share)
        run_steps(task->resume, task->share);
    else
        open_known(task->shares, task->location);
    task_free(task);
}

static void push(struct resume *resume, struct task *task) {
    if (!task) {
        log_warning("unfinished work not taken up", LOG_S("error", "out of memory"));
        return;
    }
    task->work.run = run;
    task->resume = resume;
    {
        LOCK_SCOPE(&resume->lock);
        task->next = resume->tasks;
        task->at = &resume->tasks;
        if (task->next)
            task->next->at = &task->next;
        resume->tasks = task;
    }
    if (workq_push(resume->queue, &task->work) < 0)
        task_free(task);
}

void resume_share(struct resume *resume, struct share *share) {
    struct task *task = mem_zalloc(sizeof *task);
    if (task)
        task->share = share_ref(share);
    push(resume, task);
}

void resume_open(struct resume *resume, struct shares *shares, const struct share_location *location) {
    struct task *task = mem_zalloc(sizeof *task);
    if (task) {
        task->shares = shares;
        if (share_location_format(location, task->location, NULL) < 0)
            free(take_ptr(task));
    }
    push(resume, task);
}

struct resume *resume_free(struct resume *resume) {
    if (!resume)
        return NULL;
    resume->queue = workq_free(resume->queue);
    while (resume->tasks)
        task_free(resume->tasks);
    (void)pthread_mutex_destroy(&resume->lock);
    free(resume);
    return NULL;
}
