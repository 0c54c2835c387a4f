// SPDX-License-Identifier: Apache-2.0
// Keeps the store's address: its name is looked up in a thread of its own, because that may wait.
//
// Why:     a Service keeps its address, but a name may also point at a pod that moved, or not be there yet.
// Fails:   a lookup that fails keeps the addresses that were, and is logged when its reason changes.
#pragma once

#include "lib/http/upstream.h"

struct locator;
// Texts are borrowed. When this returns the first lookup has ended, or has taken two seconds already.
int locator_start(struct http_upstream *upstream, const char *host, const char *port, struct locator **ret,
                  struct err *err) must_check;
// False: a lookup still waits and cannot be ended; what it uses must not be freed.
bool locator_stop(struct locator *locator) must_check;
