// SPDX-License-Identifier: Apache-2.0
// The RPCs of CSI by name, from the generated service descriptors.
#pragma once

#include <stdbool.h>

#include "lib/rpc/client.h"

struct method {
    const char *name; // "CreateVolume"
    char path[96];    // "/csi.v1.Controller/CreateVolume"
    const ProtobufCMessageDescriptor *input, *output;
    enum { SERVED_BY_CONTROLLER, SERVED_BY_NODE, SERVED_BY_BOTH } server;
};

// -ENOENT with a hint when CSI has no such method. Names are matched without case.
int method_find(const char *name, struct method *ret, struct err *err) must_check;
void method_print_all(void);
