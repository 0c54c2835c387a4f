// SPDX-License-Identifier: Apache-2.0
// A pod that asks for a sidecar gets it: the patch that makes it so.
//
// Why:     it is a function of the pod alone, so that what a pod becomes can be read from a test. It adds only what is missing, so a pod that
//          has been through it, and to which others added containers meanwhile, gets what these lack and nothing twice.
// Owns:    the patch is the caller's.
// Threads: any.
// Fails:   -EINVAL a pod that asks for what cannot be, with the remedy; a pod that does not ask never fails but by -ENOMEM.
#pragma once

#include "controller/webhook/sidecar.h"

// *ret NULL: the pod stays as it is. `ns`: the pod's namespace, which is its workspace.
int inject_pod(const struct inject_settings *settings, const struct json *pod, const char *ns, struct json **ret,
               struct err *err) must_check;
