// SPDX-License-Identifier: Apache-2.0
// libFuzzer: cmake -DSTOWAGE_FUZZ=ON with clang, then build/…/tests/fuzz_store_values tests/fuzz/corpus/store_values
#undef NDEBUG
#include "tests/fuzz/store_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_values(data, size);
    return 0;
}
