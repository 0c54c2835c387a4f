// SPDX-License-Identifier: Apache-2.0
// Requests that change names and that a former daemon may have carried out already.
//
// Why:     the kernel sends again what a dead daemon had read. MKDIR, REMOVE, RENAME, LINK … done twice fail the second
//          time, though the first was the caller's. So what was sent to the server is written down first, and a request
//          that comes again takes "there is one" or "there is none" for its own success, after a look at what is there.
//          It also goes out under the same number from the same port as the first time: a server with a duplicate request
//          cache answers it as it answered then, and does not carry out the first one later, should it still come.
// Limits:  without such a cache, between the server's act and its answer nobody knows: if another client makes the same name in that moment,
//          the caller believes to have made it.
// Threads: an op's record belongs to whoever runs its step.
#pragma once

#include "node-plugin/cachefs/fs.h"

void again_find(struct op *op);       // a request comes again: what of it was sent before?
void again_submitting(struct op *op); // op->call is about to be sent
void again_answered(struct op *op);   // op->result is the server's answer to op->call
void again_done(struct op *op);       // the request was answered
// Was this operation sent for the same request by a former daemon, which did not hear that it failed?
bool again_was(const struct op *op, enum nfs_op operation);
// Records of requests that did not come again; after a while nothing will.
void again_forget_old(struct fs *fs);
