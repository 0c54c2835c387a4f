// SPDX-License-Identifier: Apache-2.0
// libFuzzer: cmake -DSTOWAGE_FUZZ=ON with clang, then build/…/tests/fuzz_store_queue_body tests/fuzz/corpus/store_queue_body
#undef NDEBUG
#include "tests/fuzz/store_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_queue_body(data, size);
    return 0;
}
