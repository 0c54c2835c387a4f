// SPDX-License-Identifier: Apache-2.0
// The four calls that bring a volume to a path of a node and take it away again.
#pragma once

#include "cli/command.h"

struct node_call {
    const char *method;
    bool staging, target; // which paths it takes
    bool mounts;          // it takes a capability and the volume's context as well
    bool read_only;       // it takes --read-only
    const char *done;     // "ID is staged at PATH": what stands between; PATH is the target, or else the staging path
};
// Makes the call for the command's volume and says what was done, or prints the reply with --json.
int node_call(struct cli *cli, const struct node_call *row, struct err *err) must_check;
