// SPDX-License-Identifier: Apache-2.0
#include "cli/methods.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/str.h"
#include "proto/csi.pb-c.h"

static const struct {
    const ProtobufCServiceDescriptor *service;
    int server;
} SERVICES[] = {
    {&csi__v1__identity__descriptor, SERVED_BY_BOTH},
    {&csi__v1__controller__descriptor, SERVED_BY_CONTROLLER},
    {&csi__v1__group_controller__descriptor, SERVED_BY_CONTROLLER},
    {&csi__v1__node__descriptor, SERVED_BY_NODE},
};

int method_find(const char *name, struct method *ret, struct err *err) {
    for (size_t s = 0; s < ARRAY_SIZE(SERVICES); s++) {
        const ProtobufCServiceDescriptor *service = SERVICES[s].service;
        for (unsigned m = 0; m < service->n_methods; m++) {
            const ProtobufCMethodDescriptor *method = &service->methods[m];
            if (!str_eq_nocase(method->name, name))
                continue;
            *ret = (struct method){.name = method->name, .input = method->input, .output = method->output};
            ret->server = SERVICES[s].server;
            (void)snprintf(ret->path, sizeof ret->path, "/%s/%s", service->name, method->name);
            return 0;
        }
    }
    return err_set(err, -ENOENT, "CSI has no method '%.60s'; `stowage csi --help` lists them", name);
}

void method_print_all(void) {
    for (size_t s = 0; s < ARRAY_SIZE(SERVICES); s++) {
        (void)printf("\n%s\n", SERVICES[s].service->name);
        for (unsigned m = 0; m < SERVICES[s].service->n_methods; m++)
            (void)printf("  %s\n", SERVICES[s].service->methods[m].name);
    }
}
