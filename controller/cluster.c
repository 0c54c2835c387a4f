// SPDX-License-Identifier: Apache-2.0
#include "controller/cluster.h"

#include <errno.h>

#include "lib/base/mem.h"
#include "lib/kube/kubeconfig.h"

struct cluster {
    struct kubeconfig *config; // NULL: the pod's service account
    struct kube_options pod;
    char *ns;
};

static int choose_namespace(struct cluster *cluster, const char *given, struct err *err) {
    const char *configured = cluster->config ? kubeconfig_namespace(cluster->config) : NULL;
    if (given || cluster->config)
        cluster->ns = mem_strdup(given ? given : configured ? configured : "default");
    else
        cluster->ns = kube_own_namespace();
    return cluster->ns ? 0
                       : err_set(err, -EINVAL, "the namespace of the operator is not known; give --operator-namespace");
}

int cluster_new(const char *kubeconfig, const char *ns, struct cluster **ret, struct err *err) {
    struct cluster *cluster cleanup(cluster_freep) = mem_zalloc(sizeof *cluster);
    if (!cluster)
        return err_set(err, -ENOMEM, "out of memory");
    int r =
        kubeconfig ? kubeconfig_read(kubeconfig, NULL, &cluster->config, err) : kube_options_of_pod(&cluster->pod, err);
    if (r == 0)
        r = choose_namespace(cluster, ns, err);
    if (r == 0)
        *ret = take_ptr(cluster);
    return r;
}

struct cluster *cluster_free(struct cluster *cluster) {
    if (!cluster)
        return NULL;
    if (!cluster->config)
        kube_options_of_pod_done(&cluster->pod);
    (void)kubeconfig_free(cluster->config);
    free(cluster->ns);
    free(cluster);
    return NULL;
}

const char *cluster_namespace(const struct cluster *cluster) {
    return cluster->ns;
}

int cluster_connect(const struct cluster *cluster, uint32_t timeout_s, struct kube **ret, struct err *err) {
    struct kube_options options = cluster->config ? *kubeconfig_options(cluster->config) : cluster->pod;
    options.timeout_s = timeout_s;
    return kube_new(&options, ret, err);
}
