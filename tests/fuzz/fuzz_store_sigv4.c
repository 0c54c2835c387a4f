// SPDX-License-Identifier: Apache-2.0
// libFuzzer: cmake -DSTOWAGE_FUZZ=ON with clang, then build/…/tests/fuzz_store_sigv4 tests/fuzz/corpus/store_sigv4
#undef NDEBUG
#include "tests/fuzz/store_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_sigv4(data, size);
    return 0;
}
