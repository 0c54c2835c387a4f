// SPDX-License-Identifier: Apache-2.0
// libFuzzer: cmake -DSTOWAGE_FUZZ=ON with clang, then build/…/tests/fuzz_csi_request tests/fuzz/corpus/csi_request
#undef NDEBUG
#include "tests/fuzz/csi_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_one(data, size);
    return 0;
}
