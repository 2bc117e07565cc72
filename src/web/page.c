// SPDX-License-Identifier: MIT
/*
 * page: see page.h.
 */
#include "page.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/drop.h"
#include "ethercord/log.h"

// Made of page.html by the Makefile; a NUL follows.
extern const unsigned char page_html[];

#define MARK "@DROPS@"
enum { HASH_TEXT_CAP = sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, sodium_base64_VARIANT_ORIGINAL) };

static char *drop_meanings(void)
{
    json_t *meanings = json_object();

    for (int i = 0; i < DROP_COUNT; i++)
        json_object_set_new(meanings, drop_name((enum drop_reason)i), json_string(drop_meaning((enum drop_reason)i)));
    char *text = json_dumps(meanings, JSON_COMPACT);
    json_decref(meanings);
    return text;
}

// Of what is between the first two of these, as browsers hash it.
static void hash_between(const char *text, const char *begin, const char *end, char hash[static HASH_TEXT_CAP])
{
    uint8_t bytes[crypto_hash_sha256_BYTES];
    const char *from = strstr(text, begin);

    ensure(from);
    from += strlen(begin);
    const char *to = strstr(from, end);
    ensure(to);
    crypto_hash_sha256(bytes, (const uint8_t *)from, (size_t)(to - from));
    sodium_bin2base64(hash, HASH_TEXT_CAP, bytes, sizeof bytes, sodium_base64_VARIANT_ORIGINAL);
}

int page_init(struct page *page)
{
    const char *html = (const char *)page_html;
    const char *mark = strstr(html, MARK);
    char script[HASH_TEXT_CAP], style[HASH_TEXT_CAP];
    char *meanings = drop_meanings();

    *page = (struct page){.text = NULL};
    ensure(mark);
    int len = meanings ? asprintf(&page->text, "%.*s%s%s", (int)(mark - html), html, meanings, mark + strlen(MARK)) : -1;
    free(meanings);
    if (len < 0)
        return -ENOMEM;
    page->len = (size_t)len;
    hash_between(page->text, "<script>", "</script>", script);
    hash_between(page->text, "<style>", "</style>", style);
    snprintf(page->policy, sizeof page->policy,
             "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; connect-src 'self'; img-src data:; base-uri 'none'; "
             "form-action 'none'; frame-ancestors 'none'",
             script, style);
    return 0;
}

void page_deinit(struct page *page)
{
    free(page->text);
}
