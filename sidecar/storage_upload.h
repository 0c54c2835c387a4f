// SPDX-License-Identifier: Apache-2.0
// A file on its way from a form into a file system.
//
// Why:     a disk or share may be slow or stand still, and a connection's thread must not wait for it: pieces are written by
//          workers, one at a time, and the client is held back meanwhile.
// Owns:    an upload frees itself, after its answer and its last piece.
#pragma once

#include "sidecar/files.h"
#include "sidecar/service.h"

// Takes the part "file" of the request's body, and `path`. Answers when the file has its name, or why it has not.
void storage_upload_start(struct service *service, struct http_request *request, struct file_system *fs, char *path);
