// SPDX-License-Identifier: Apache-2.0
// A backup of the running store, asked for by whoever may read the data folder.
#pragma once

#include "sidecar/service.h"

// POST /admin/backup/NAME: copies into the backup folder and answers with the path when it is complete.
void backup_start(struct service *service, struct http_request *request);
