// SPDX-License-Identifier: Apache-2.0
#include "sidecar/kv_cursor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

#define LIMB 1000000000U // nine digits
#define DIGITS_MAX 4100

char *kv_cursor_encode(const char *key, size_t len) {
    uint32_t limbs[DIGITS_MAX / 9 + 2] = {1}; // least first
    size_t count = 1;
    if (len > KV_CURSOR_KEY_MAX)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        uint64_t carry = (unsigned char)key[i];
        for (size_t n = 0; n < count; n++) {
            carry += (uint64_t)limbs[n] * 256;
            limbs[n] = (uint32_t)(carry % LIMB);
            carry /= LIMB;
        }
        if (carry)
            limbs[count++] = (uint32_t)carry;
    }
    char *digits = mem_alloc(count * 9 + 1);
    if (!digits)
        return NULL;
    int at = snprintf(digits, 10, "%u", limbs[count - 1]);
    for (size_t n = count - 1; n-- > 0;)
        at += snprintf(digits + at, 10, "%09u", limbs[n]);
    return digits;
}

int kv_cursor_decode(const char *digits, size_t len, char **ret, size_t *ret_len) {
    unsigned char bytes[KV_CURSOR_KEY_MAX + 64]; // least first
    size_t count = 0;
    if (len > DIGITS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        unsigned carry = (unsigned)digits[i] - '0';
        if (carry > 9)
            return -EINVAL;
        for (size_t n = 0; n < count; n++) {
            carry += bytes[n] * 10U;
            bytes[n] = (unsigned char)(carry & 255);
            carry >>= 8;
        }
        if (carry) {
            if (count == sizeof bytes)
                return -EINVAL;
            bytes[count++] = (unsigned char)carry;
        }
    }
    if (count > 0 && bytes[count - 1] != 1)
        return -EINVAL;
    *ret_len = count ? count - 1 : 0;
    *ret = mem_alloc(*ret_len + 1);
    if (!*ret)
        return -ENOMEM;
    for (size_t i = 0; i < *ret_len; i++)
        (*ret)[i] = (char)bytes[*ret_len - 1 - i];
    (*ret)[*ret_len] = '\0';
    return 0;
}
