// SPDX-License-Identifier: Apache-2.0
#include "lib/rpc/core.h"

#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <malloc.h>
#include <pthread.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

#define TRIM_ABOVE ((size_t)1024 * 1024)

static void log_core(gpr_log_func_args *args) {
    log_debug("grpc", LOG_S("message", args->message), LOG_S("file", args->file), LOG_I("line", args->line));
}

static void set_up(void) {
    gpr_set_log_function(log_core);
}

void core_init(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, set_up);
    grpc_init();
}

void core_shutdown(void) {
    // Waits for the core's threads, which grpc_shutdown would leave to end after main.
    grpc_shutdown_blocking();
}

int64_t core_to_deadline(gpr_timespec when) {
    gpr_timespec span = gpr_convert_clock_type(when, GPR_TIMESPAN);
    if (gpr_time_cmp(span, gpr_time_from_hours(24 * 365, GPR_TIMESPAN)) >= 0)
        return DEADLINE_NONE;
    return clock_monotonic(&clock_system) + span.tv_sec * NS_PER_S + span.tv_nsec;
}

gpr_timespec core_from_deadline(int64_t deadline_ns) {
    if (deadline_ns == DEADLINE_NONE)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    int64_t span = deadline_ns - clock_monotonic(&clock_system);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(span, GPR_TIMESPAN));
}

void core_trim(size_t size) {
    if (size > TRIM_ABOVE)
        (void)malloc_trim(0);
}
