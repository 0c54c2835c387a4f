// SPDX-License-Identifier: Apache-2.0
// A store that answers as a test says: by a table of what is asked, in any order, from any thread; and that remembers what it was asked.
#pragma once

#include <stdbool.h>

#include "controller/operator/data_store.h"

struct fake_reply {
    const char *request; // "PUT team-a/queue/jobs": how method, workspace and path begin; the first that fits answers
    int result;
    const char *body;
    const char *sent; // a part of what is sent; NULL: anything
};

void fake_data_store_set(const struct fake_reply *replies, size_t count); // they must outlive what follows
int fake_data_store_send(void *arg, const struct data_store_request *request, const char *token, struct str *ret_answer,
                         struct err *err); // for data_store_options.send
// How often it was asked what begins so.
unsigned fake_data_store_asked(const char *request);
// The bodies that came with it, one after the other. "" none. Until the next call.
const char *fake_data_store_bodies(const char *request);
const char *fake_data_store_token(void); // of the last request; "" none
void fake_data_store_forget(void);       // what it was asked
