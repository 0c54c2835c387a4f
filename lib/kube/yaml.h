// SPDX-License-Identifier: Apache-2.0
// YAML as JSON, over libyaml, whose header is included in yaml.c only. For kubeconfig files: every scalar is a text.
//
// Fails:   -EBADMSG with the line; also for aliases (which can make a small file large), duplicate names, and what is nested deeper than
//          20 levels.
#pragma once

#include <stddef.h>

#include "lib/base/json.h"

int kube_yaml_parse(const char *text, size_t len, struct json **ret, struct err *err) must_check;
