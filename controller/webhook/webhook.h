// SPDX-License-Identifier: Apache-2.0
// The admission webhooks of this process: a server with TLS, one route each, and the keeper of what it is believed by.
//
// Why:     every replica serves; none needs another, nor a leader.
// Owns:    its server, its thread and its connections to the API server; texts of the options are borrowed until webhook_free.
// Threads: webhook_free waits for the request that the keeper is in.
// Fails:   at start only what can never work. Until there is a certificate, connections are closed, and pods go by the failurePolicy.
#pragma once

#include "controller/cluster.h"
#include "controller/webhook/sidecar.h"

struct webhook;

struct webhook_options {
    const char *address;           // HOST:PORT
    const char *name;              // of Service, Secret and MutatingWebhookConfiguration
    const char *kubeconfig, *ns;   // as of cluster_new
    struct inject_settings inject; // an image and a store's URL are needed
};
int webhook_start(const struct webhook_options *options, struct webhook **ret, struct err *err) must_check;
struct webhook *webhook_free(struct webhook *webhook);
DEFINE_CLEANUP(webhook)
