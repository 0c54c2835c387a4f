// SPDX-License-Identifier: Apache-2.0
// libFuzzer: cmake -DSTOWAGE_FUZZ=ON with clang, then build/…/tests/fuzz_http_answer tests/fuzz/corpus/http_answer
#undef NDEBUG
#include "tests/fuzz/http_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_answer(data, size);
    return 0;
}
