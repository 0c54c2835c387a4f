// SPDX-License-Identifier: Apache-2.0
// Taking over what a former daemon of this mount left in the shared memory (state.h).
#pragma once

#include "node-plugin/cachefs/fs.h"

// Makes inodes, open files, directories and written data from their records. Before any request is read.
int resume_state(struct fs *fs, struct err *err) must_check;
// Starts what the former daemon owed: sends the data, removes names. Once the session stands.
void resume_work(struct fs *fs);
// A request for a handle comes again: the one that a former daemon made for it, and could not tell, is closed.
void resume_request(struct op *op);
