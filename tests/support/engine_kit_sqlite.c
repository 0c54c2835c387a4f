// SPDX-License-Identifier: Apache-2.0
// Which engine the kit opens.
#include "sidecar/engine/sqlite/sqlite.h"
#include "tests/support/cm.h"
#include "tests/support/engine_kit.h"

void kit_open(struct kit *kit) {
    struct sqlite_engine_options options = {.folder = kit->folder, .clock = &kit->clock};
    struct err err = ERR_NONE;
    if (sqlite_engine_open(&options, &kit->engine, &err) < 0)
        fail_msg("%s", err_text(&err));
    kit->poke = sqlite_engine_poke;
}

void kit_close(struct kit *kit) {
    kit->poke = NULL;
    sqlite_engine_close(&kit->engine);
}
