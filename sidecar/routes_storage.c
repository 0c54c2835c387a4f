// SPDX-License-Identifier: Apache-2.0
// Files: list, read, write, make directories, remove. What may wait for a disk runs on the workers.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/files.h"
#include "sidecar/job.h"
#include "sidecar/storage_upload.h"

#define USAGE_S 10          // that counting bytes may take
#define FILE_SYSTEMS_MAX 64 // of a workspace

struct file_job {
    struct work work;
    struct service *service;
    struct http_request *request;
    struct file_system *fs; // NULL: about all of them
    char *path;
    struct err err;
    void (*run)(struct file_job *job); // answers
};

static void file_job_free(struct file_job *job) {
    free(job->path);
    free(job);
}

static void run_job(struct work *work) {
    struct file_job *job = (struct file_job *)work; // the first member
    job->run(job);
    file_job_free(job);
}

static void answer_error(struct file_job *job, const struct err *err) {
    http_reply_error(job->request, err);
    file_job_free(job);
}

static void push(struct file_job *job) {
    job->work.run = run_job;
    if (workq_push(job->service->workers, &job->work) == 0)
        return;
    (void)err_set(&job->err, -ESHUTDOWN, "the server is stopping");
    answer_error(job, &job->err);
}

// Path and file system of the request. NULL: refused, which was answered.
static struct file_job *job_for(struct service *service, struct http_request *request,
                                void (*run)(struct file_job *job)) {
    struct blob path = request_blob(request, "path");
    struct file_job *job = mem_zalloc(sizeof *job);
    if (!job) {
        reply_out_of_memory(request);
        return NULL;
    }
    job->service = service;
    job->request = request;
    job->run = run;
    int r = file_path_normalise(path.data, path.len, &job->path, &job->err);
    if (r == 0)
        r = file_systems_find(service->files, request_workspace(request), http_request_arg(request, "fs", NULL),
                              &job->fs, &job->err);
    if (r == 0)
        return job;
    answer_error(job, &job->err);
    return NULL;
}

static void start(struct service *service, struct http_request *request, void (*run)(struct file_job *job)) {
    struct file_job *job = job_for(service, request, run);
    if (job)
        push(job);
}

// ---- reading ----

static struct json *entry_json(const struct file_entry *entry, const char *directory) {
    struct json *object cleanup(json_freep) = json_object_new();
    char *path cleanup_free = mem_printf("/%s%s%s", directory, *directory ? "/" : "", entry->name);
    int r = path ? json_set_text(object, "type", entry->is_directory ? "dir" : "file") : -ENOMEM;
    if (r == 0)
        r = json_set_text(object, "name", entry->name);
    if (r == 0)
        r = json_set_text(object, "path", path);
    if (r == 0 && !entry->is_directory)
        r = json_set_int(object, "size", entry->size);
    if (r == 0)
        r = json_set_int(object, "modified_ms", entry->modified_ms);
    return r == 0 ? take_ptr(object) : NULL;
}

static void answer_list(struct file_job *job) {
    struct file_list list cleanup(file_list_done) = {0};
    struct json *array cleanup(json_freep) = json_array_new();
    if (job->fs->ops->list(job->fs->self, job->path, &list, &job->err) < 0) {
        http_reply_error(job->request, &job->err);
        return;
    }
    for (size_t i = 0; array && i < list.count; i++)
        if (json_append(array, entry_json(&list.items[i], job->path)) < 0)
            array = json_free(array);
    reply_json(job->request, 200, take_ptr(array));
}

static void run_get(struct file_job *job) {
    struct file_entry entry;
    int fd = -1;
    int64_t size = 0;
    int r = job->fs->ops->stat(job->fs->self, job->path, &entry, &job->err);
    if (r == 0 && entry.is_directory) {
        answer_list(job);
        return;
    }
    if (r == 0)
        r = job->fs->ops->open(job->fs->self, job->path, &fd, &size, &job->err);
    if (r < 0) {
        http_reply_error(job->request, &job->err);
        return;
    }
    reply_header(job->request, "X-Content-Type-Options", "nosniff");
    http_reply_file(job->request, 200, "application/octet-stream", fd, 0, size);
}

static void run_exists(struct file_job *job) {
    struct file_entry entry;
    if (job->fs->ops->stat(job->fs->self, job->path, &entry, &job->err) < 0)
        http_reply_error(job->request, &job->err);
    else
        http_reply_empty(job->request, 200);
}

static void handle_get(void *arg, struct http_request *request) {
    start(arg, request, run_get);
}
static void handle_exists(void *arg, struct http_request *request) {
    start(arg, request, run_exists);
}

// ---- which there are ----

static int usage_json(struct file_system *fs, int64_t deadline_ns, struct json **ret, struct err *err) {
    struct json *object cleanup(json_freep) = json_object_new(), *metadata = json_object_new(),
                        *status = json_object_new();
    int64_t bytes = 0;
    int usage = fs->ops->usage(fs->self, deadline_ns, &bytes, err);
    int r = json_set_text(metadata, "name", fs->name);
    if (r == 0)
        r = json_set_int(status, "total_usage_bytes", bytes);
    r |= json_set(object, "metadata", metadata) | json_set(object, "status", status) |
         json_set_int(object, "totalDiskUsageBytes", bytes); // as the oldest clients read it
    if (usage < 0)
        return usage;
    if (r != 0)
        return err_set(err, -ENOMEM, "out of memory; try again later");
    *ret = take_ptr(object);
    return 0;
}

static void run_file_systems(struct file_job *job) {
    struct file_system *all[FILE_SYSTEMS_MAX];
    struct json *array cleanup(json_freep) = json_array_new();
    int64_t deadline_ns = clock_monotonic(job->service->clock) + USAGE_S * NS_PER_S;
    size_t count = file_systems_of(job->service->files, request_workspace(job->request), all, ARRAY_SIZE(all));
    int r = 0;
    for (size_t i = 0; r == 0 && array && i < count; i++) {
        struct json *usage = NULL;
        r = usage_json(all[i], deadline_ns, &usage, &job->err);
        if (r == 0 && json_append(array, usage) < 0)
            array = json_free(array);
    }
    if (r < 0)
        http_reply_error(job->request, &job->err);
    else
        reply_json(job->request, 200, take_ptr(array));
}

static void run_usage(struct file_job *job) {
    struct file_system *first = NULL;
    int64_t deadline_ns = clock_monotonic(job->service->clock) + USAGE_S * NS_PER_S;
    struct json *usage = NULL;
    if (file_systems_of(job->service->files, request_workspace(job->request), &first, 1) == 0)
        http_reply_status(job->request, 404, "not_found", "the workspace has no file system");
    else if (usage_json(first, deadline_ns, &usage, &job->err) < 0)
        http_reply_error(job->request, &job->err);
    else
        reply_json(job->request, 200, usage);
}

static void start_all(struct service *service, struct http_request *request, void (*run)(struct file_job *job)) {
    struct file_job *job = mem_zalloc(sizeof *job);
    if (!job) {
        reply_out_of_memory(request);
        return;
    }
    job->service = service;
    job->request = request;
    job->run = run;
    push(job);
}

static void handle_file_systems(void *arg, struct http_request *request) {
    start_all(arg, request, run_file_systems);
}
static void handle_usage(void *arg, struct http_request *request) {
    start_all(arg, request, run_usage);
}

// ---- changing ----

static void run_make_directory(struct file_job *job) {
    if (job->fs->ops->make_directory(job->fs->self, job->path, &job->err) < 0)
        http_reply_error(job->request, &job->err);
    else
        http_reply_empty(job->request, 201);
}

static void run_remove(struct file_job *job) {
    bool recursive = str_eq(http_request_query(job->request, "removeall", NULL), "true");
    if (job->fs->ops->remove(job->fs->self, job->path, recursive, &job->err) < 0)
        http_reply_error(job->request, &job->err);
    else
        http_reply_empty(job->request, 204);
}

static void handle_make_directory(void *arg, struct http_request *request) {
    start(arg, request, run_make_directory);
}

static void handle_remove(void *arg, struct http_request *request) {
    struct file_job *job = job_for(arg, request, run_remove);
    if (!job)
        return;
    if (*job->path) {
        push(job);
        return;
    }
    (void)err_set(&job->err, -EINVAL, "the root of a file system cannot be removed");
    answer_error(job, &job->err);
}

// The part's own file name is the client's; the path says where the file goes.
static void handle_upload(void *arg, struct http_request *request) {
    struct file_job *job = job_for(arg, request, NULL);
    if (!job)
        return;
    storage_upload_start(arg, request, job->fs, take_ptr(job->path));
    file_job_free(job);
}

#define AT "/storage/{fs}/{path...}"
static const struct http_route rows[] = {
    {HTTP_GET, "/storage", false, HTTP_BODY_NONE, 0, handle_file_systems, "storage_list",
     "The file systems of the workspace", ACCESS_READ},
    {HTTP_GET, "/storage/du", false, HTTP_BODY_NONE, 0, handle_usage, "storage_usage",
     "What the first file system holds, in bytes", ACCESS_READ},
    {HTTP_HEAD, AT, false, HTTP_BODY_NONE, 0, handle_exists, "storage_exists", "Is there a file or directory?",
     ACCESS_READ},
    {HTTP_GET, AT, false, HTTP_BODY_NONE, 0, handle_get, "storage_get", "The entries of a directory, or a file's bytes",
     ACCESS_READ},
    {HTTP_POST, AT, false, HTTP_BODY_STREAM, 0, handle_upload, "storage_upload",
     "Write the part 'file' of a form as a file", ACCESS_WRITE},
    {HTTP_PUT, AT, false, HTTP_BODY_NONE, 0, handle_make_directory, "storage_mkdir",
     "Make a directory and those above it", ACCESS_WRITE},
    {HTTP_DELETE, AT, false, HTTP_BODY_NONE, 0, handle_remove, "storage_remove",
     "Remove a file or an empty directory; removeall=true: with all that is in it", ACCESS_WRITE},
};
const struct route_table storage_routes = {rows, ARRAY_SIZE(rows)};
