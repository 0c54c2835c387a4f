// SPDX-License-Identifier: Apache-2.0
// Which group this node is of: what --node-group says, else the label of its Node object, else none.
#pragma once

#include "lib/base/err.h"
#include "lib/base/json.h"
#include "node-plugin/config.h"

// *ret is allocated, NULL: of none. Asks the cluster, where this is a pod with a token, for at most a minute; a cluster
// that does not answer by then is an error, since a wrong answer would move volumes.
int node_group_find(const struct node_config *config, char **ret, struct err *err) must_check;
// What a Node object says. A group that the cluster was told before stays until an administrator removes that label:
// kubelet refuses a driver whose topology changes.
int node_group_of_object(const struct json *object, const char *node, char **ret, struct err *err) must_check;
