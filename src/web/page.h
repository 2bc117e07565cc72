// SPDX-License-Identifier: MIT
/*
 * page: the status page (page.html, which the Makefile turns into bytes) with what each drop reason means put into it, and the policy by
 * which a browser runs the script and the styles that are in it and nothing else.
 */
#ifndef ETHERCORD_WEB_PAGE_H
#define ETHERCORD_WEB_PAGE_H

#include <stddef.h>

enum { PAGE_POLICY_CAP = 400 };

struct page {
    char *text; // freed by page_deinit()
    size_t len;
    char policy[PAGE_POLICY_CAP]; // Content-Security-Policy
};

// Returns 0 or -ENOMEM.
int page_init(struct page *page);
void page_deinit(struct page *page);

#endif
