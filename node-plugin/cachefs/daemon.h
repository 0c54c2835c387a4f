// SPDX-License-Identifier: Apache-2.0
// The daemon of one mount: connects to the origin, mounts or takes a mount over, serves it until it ends.
#pragma once

#include "node-plugin/cachefs/config.h"

// `signals`: a signalfd of SIGTERM, SIGINT (unmount) and SIGHUP (hand over). The exit status.
int daemon_run(const struct cachefs_config *config, int signals);
