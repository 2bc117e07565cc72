// SPDX-License-Identifier: MIT
/*
 * pcapng: see pcapng.h. A block is put together in memory and leaves in one piece. Little-endian, whatever the machine is.
 */
#include "pcapng.h"

#include <string.h>

#include "ethercord/log.h"
#include "ethercord/program.h"

enum block_type { BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_FRAME = 6, BLOCK_SECTION = 0x0a0d0d0a };
enum option_code {
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    SECTION_APPLICATION = 4,
    INTERFACE_NAME = 2,
    INTERFACE_DESCRIPTION = 3,
    INTERFACE_RESOLUTION = 9,
    INTERFACE_FILTER = 11,
    FRAME_FLAGS = 2,
    FRAME_LOST = 4,
    STATISTICS_BEGIN = 2,
    STATISTICS_END = 3,
    STATISTICS_LOST = 5,
    STATISTICS_MATCHED = 6
};
enum { BYTE_ORDER_MAGIC = 0x1a2b3c4d, LINK_ETHERNET = 1, NANOSECONDS = 9, FLAG_INBOUND = 1, FLAG_OUTBOUND = 2 };

static void begin_block(struct pcapng *file, enum block_type type)
{
    file->body = writer_of(file->block, sizeof file->block - 4);
    writer_le32(&file->body, (uint32_t)type);
    writer_le32(&file->body, 0); // the length: see finish_block()
}

static bool finish_block(struct pcapng *file)
{
    ensure(!file->body.is_short);
    size_t len = (size_t)(file->body.at - file->block) + 4;
    store_le32(file->block + 4, (uint32_t)len);
    store_le32(file->body.at, (uint32_t)len);
    return fwrite(file->block, 1, len, file->out) == len;
}

static void put_padded(struct pcapng *file, const void *bytes, size_t len)
{
    static const uint8_t zeros[4];

    writer_copy(&file->body, bytes, len);
    writer_copy(&file->body, zeros, (4 - len % 4) % 4);
}

static void put_option(struct pcapng *file, enum option_code code, const void *bytes, size_t len)
{
    writer_le16(&file->body, (uint16_t)code);
    writer_le16(&file->body, (uint16_t)len);
    put_padded(file, bytes, len);
}

static void put_text(struct pcapng *file, enum option_code code, const char *text)
{
    put_option(file, code, text, strnlen(text, PCAPNG_TEXT_MAX));
}

static void put_number(struct pcapng *file, enum option_code code, uint64_t number)
{
    uint8_t bytes[8];

    store_le64(bytes, number);
    put_option(file, code, bytes, sizeof bytes);
}

// The upper half comes first.
static void put_time(struct pcapng *file, enum option_code code, uint64_t ns)
{
    put_number(file, code, ns >> 32 | ns << 32);
}

bool pcapng_begin(struct pcapng *file, const struct pcapng_interface *interface)
{
    static const uint8_t resolution = NANOSECONDS;
    char filter[PCAPNG_TEXT_MAX] = ""; // begins with what kind of filter it is: 0, a text

    begin_block(file, BLOCK_SECTION);
    writer_le32(&file->body, BYTE_ORDER_MAGIC);
    writer_le32(&file->body, 1);          // version 1.0
    writer_le64(&file->body, UINT64_MAX); // the section's length is not known
    put_text(file, SECTION_APPLICATION, "ethercord " ETHERCORD_VERSION);
    writer_le32(&file->body, OPTION_END);
    if (!finish_block(file))
        return false;

    begin_block(file, BLOCK_INTERFACE);
    writer_le32(&file->body, LINK_ETHERNET);
    writer_le32(&file->body, interface->snaplen);
    put_text(file, INTERFACE_NAME, interface->name);
    put_text(file, INTERFACE_DESCRIPTION, interface->description);
    put_option(file, INTERFACE_RESOLUTION, &resolution, sizeof resolution);
    size_t len = strnlen(interface->filter, sizeof filter - 1);
    memcpy(filter + 1, interface->filter, len);
    if (len > 0)
        put_option(file, INTERFACE_FILTER, filter, 1 + len);
    writer_le32(&file->body, OPTION_END);
    return finish_block(file);
}

bool pcapng_write(struct pcapng *file, const struct pcapng_frame *frame)
{
    uint8_t flags[4];

    begin_block(file, BLOCK_FRAME);
    writer_le32(&file->body, 0); // the interface
    writer_le32(&file->body, (uint32_t)(frame->wall_ns >> 32));
    writer_le32(&file->body, (uint32_t)frame->wall_ns);
    writer_le32(&file->body, frame->len);
    writer_le32(&file->body, frame->frame_len);
    put_padded(file, frame->bytes, frame->len);
    store_le32(flags, frame->is_inbound ? FLAG_INBOUND : FLAG_OUTBOUND);
    put_option(file, FRAME_FLAGS, flags, sizeof flags);
    if (frame->n_lost > 0)
        put_number(file, FRAME_LOST, frame->n_lost);
    if (frame->comment)
        put_text(file, OPTION_COMMENT, frame->comment);
    writer_le32(&file->body, OPTION_END);
    return finish_block(file);
}

bool pcapng_end(struct pcapng *file, const struct pcapng_counts *counts)
{
    begin_block(file, BLOCK_STATISTICS);
    writer_le32(&file->body, 0); // the interface
    writer_le32(&file->body, (uint32_t)(counts->end_ns >> 32));
    writer_le32(&file->body, (uint32_t)counts->end_ns);
    put_time(file, STATISTICS_BEGIN, counts->begin_ns);
    put_time(file, STATISTICS_END, counts->end_ns);
    put_number(file, STATISTICS_LOST, counts->n_lost);
    put_number(file, STATISTICS_MATCHED, counts->n_matched);
    writer_le32(&file->body, OPTION_END);
    return finish_block(file);
}
