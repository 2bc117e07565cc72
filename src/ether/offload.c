// SPDX-License-Identifier: MIT
/*
 * offload: see offload.h.
 */
#include "ethercord/offload.h"

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"
#include "ethercord/frame.h"

bool offload_is_valid(const struct offload *offload, size_t len)
{
    if (offload->kind == SUPER_UNKNOWN)
        return false;
    if (offload->kind != SUPER_NONE && offload->gso_size == 0)
        return false;
    if (!offload->is_partial)
        return true;
    return offload->checksum_start >= ETHER_HEADER_LEN && (size_t)offload->checksum_start + offload->checksum_offset + 2 <= len;
}

void offload_complete(struct offload *offload, uint8_t *frame, size_t len)
{
    // The field holds the pseudo-header's sum and is summed with the rest.
    uint16_t checksum = checksum_finish(checksum_add(0, frame + offload->checksum_start, len - offload->checksum_start));

    // To UDP zero means "no checksum"; to all others the two are the same number.
    store_be16(frame + offload->checksum_start + offload->checksum_offset, checksum ? checksum : UINT16_MAX);
    offload->is_partial = false;
}
