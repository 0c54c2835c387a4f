// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/posix/job.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

struct posix_job *posix_job_new(struct nfs_call *call, const struct nfs_cred *default_cred) {
    struct posix_job *job = mem_zalloc(sizeof *job);
    if (!job)
        return NULL;
    job->origin = call;
    job->call = *call;
    job->cred = call->cred ? *call->cred : *default_cred;
    job->call.cred = &job->cred;
    job->call.data = NULL;
    if (call->name)
        (void)snprintf(job->name, sizeof job->name, "%s", call->name);
    if (call->name2)
        (void)snprintf(job->name2, sizeof job->name2, "%s", call->name2);
    job->call.name = job->name;
    job->call.name2 = job->name2;
    if (call->op == NFS_SYMLINK) {
        job->call.target = job->target = mem_strdup(call->target);
        if (!job->target)
            return posix_job_free(job);
    }
    return job;
}

struct posix_job *posix_job_free(struct posix_job *job) {
    if (!job)
        return NULL;
    free(job->call.text);
    free(job->call.entries);
    free(job->target);
    free(job);
    return NULL;
}

void posix_job_answer(struct posix_job *job, struct nfs_call *origin) {
    struct nfs_call *from = &job->call;
    origin->result = from->result;
    origin->count = from->count;
    origin->cookie = from->cookie;
    memcpy(origin->verifier, from->verifier, sizeof origin->verifier);
    origin->eof = from->eof;
    origin->committed = from->committed;
    origin->out_fh = from->out_fh;
    origin->has_attr = from->has_attr;
    origin->attr = from->attr;
    origin->has_dir_attr = from->has_dir_attr;
    origin->dir_attr = from->dir_attr;
    origin->access = from->access;
    origin->fsstat = from->fsstat;
    origin->text = take_ptr(from->text);
    origin->entries = take_ptr(from->entries);
    origin->entry_count = from->entry_count;
}

void posix_job_append(struct posix_job_list *list, struct posix_job *job) {
    job->listed = true;
    job->next = NULL;
    job->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = job;
    list->last = job;
}

void posix_job_remove(struct posix_job_list *list, struct posix_job *job) {
    *(job->prev ? &job->prev->next : &list->first) = job->next;
    *(job->next ? &job->next->prev : &list->last) = job->prev;
    job->prev = job->next = NULL;
    job->listed = false;
}
