// SPDX-License-Identifier: Apache-2.0
// A kubeconfig file: where a cluster is and who asks, for what runs outside of it.
//
// Owns:    texts; the options point into them and live as long as it.
// Fails:   -ENOENT no such file, context, cluster or user; -EBADMSG no kubeconfig; -EOPNOTSUPP a way to sign in that is not served (exec,
//          auth-provider, user name and password, insecure-skip-tls-verify); each names what to change.
#pragma once

#include "lib/kube/kube.h"

struct kubeconfig;

// `context` NULL: the file's current one. Paths in the file are relative to it.
int kubeconfig_read(const char *path, const char *context, struct kubeconfig **ret, struct err *err) must_check;
struct kubeconfig *kubeconfig_free(struct kubeconfig *config);
DEFINE_CLEANUP(kubeconfig)

const struct kube_options *kubeconfig_options(const struct kubeconfig *config);
const char *kubeconfig_namespace(const struct kubeconfig *config); // of the context; NULL: it names none
