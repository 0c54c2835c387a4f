// SPDX-License-Identifier: Apache-2.0
#include "sidecar/backup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "sidecar/job.h"

struct backup_job {
    struct work work;
    struct service *service;
    struct http_request *request;
    char *target;
};

static void answer(struct backup_job *job) {
    struct err err = ERR_NONE;
    struct service *service = job->service;
    if (mkdir(service->backup_folder, 0700) < 0 && errno != EEXIST) {
        (void)err_set(&err, -EIO, "cannot make the folder %s: %s", service->backup_folder, err_name(errno));
        http_reply_error(job->request, &err);
        return;
    }
    if (service->backup(service->engine, job->target, &err) < 0) {
        http_reply_error(job->request, &err);
        return;
    }
    struct json *object cleanup(json_freep) = json_object_new();
    if (json_set_text(object, "path", job->target) < 0)
        object = json_free(object);
    reply_json(job->request, 201, take_ptr(object));
}

static void run(struct work *work) {
    struct backup_job *job = (struct backup_job *)work; // the first member
    answer(job);
    free(job->target);
    free(job);
}

void backup_start(struct service *service, struct http_request *request) {
    struct err err = ERR_NONE;
    struct blob name = request_blob(request, "name");
    if (label_check("backup", name.data, name.len, &err) < 0) {
        http_reply_error(request, &err);
        return;
    }
    struct backup_job *job = mem_zalloc(sizeof *job);
    char *target = mem_printf("%s/%s", service->backup_folder, name.data);
    if (!job || !target) {
        free(job);
        free(target);
        reply_out_of_memory(request);
        return;
    }
    *job = (struct backup_job){.work = {.run = run}, .service = service, .request = request, .target = target};
    if (workq_push(service->workers, &job->work) == 0)
        return;
    free(target);
    free(job);
    http_reply_status(request, 503, "shutting_down", "the server is stopping");
}
