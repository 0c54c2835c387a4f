// SPDX-License-Identifier: Apache-2.0
// What the workspaces of the store hold, by name: one list for all objects of a kind in a workspace, asked in the background.
//
// Why:     a thousand objects that each ask for their own numbers would keep the store busy with nothing else.
// Owns:    the numbers that were listed last, until nobody has asked for that workspace for ten minutes.
// Threads: any; lists are asked for on threads of its own.
// Fails:   a list that fails is an answer; numbers that were known stay known.
#pragma once

#include "controller/operator/data_store.h"

enum survey_kind { SURVEY_KEYS, SURVEY_QUEUES, SURVEY_PRIVATE, SURVEY_PUBLIC, SURVEY_KINDS };

struct survey_row { // as far as the kind has it
    int64_t count;  // keys, messages, objects
    int64_t bytes;
    int64_t version;   // of a namespace
    int64_t oldest_ms; // age of a queue's oldest message
    uint64_t settings; // digest of a queue's settings: survey_settings
};

struct survey_answer {
    bool known; // false: it is being asked for the first time, ask again in a moment
    int result; // of the last list: 0, or why the store did not give it
    char message[256];
    bool asking; // a newer list is on its way
    bool found;  // is the name in it?
    struct survey_row row;
};

struct survey;
int survey_new(struct data_store *store, const struct clock *clock, struct survey **ret, struct err *err) must_check;
struct survey *survey_free(struct survey *survey); // waits for what is being asked
DEFINE_CLEANUP(survey)

// What was listed last, at once. Lists (again) in the background when that is older than 30 s, or than fifty times as long as it
// took: so that large buckets cost the store 2 % of its time at most.
int survey_get(struct survey *survey, enum survey_kind kind, const char *workspace, const char *name,
               struct survey_answer *ret, struct err *err) must_check;

// One row, asked for now: of what was just made, and is known from then on. -ENOENT: there is none. Not for buckets.
int survey_look(struct survey *survey, enum survey_kind kind, const char *workspace, const char *name,
                struct survey_row *ret, struct err *err) must_check;

// Of the settings in an answer of the store, or in a body that is sent to it (members …_ms, max_receives, dead_letter).
uint64_t survey_settings(const struct json *queue);
