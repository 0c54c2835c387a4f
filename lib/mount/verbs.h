// SPDX-License-Identifier: Apache-2.0
// What a child of this program can be told to do. Private to lib/mount.
//
// Why:     each verb is one blocking call with its arguments as text; mount.h is the same from the outside.
#pragma once

#include "lib/base/err.h"
#include "lib/mount/child.h"

// Arguments: server, path, target, version ("" or "0": from 4.2 downwards), port, mount port ("0": default), options.
int verb_nfs(char **args, struct child_reply *reply, struct err *err);
// Arguments: device, target, type, options.
int verb_device(char **args, struct child_reply *reply, struct err *err);
// Arguments: type, source, target, options.
int verb_origin(char **args, struct child_reply *reply, struct err *err);
// Arguments: an allowed directory, a path below it, target, "ro" or "rw".
int verb_path(char **args, struct child_reply *reply, struct err *err);
