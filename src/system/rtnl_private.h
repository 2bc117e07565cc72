// SPDX-License-Identifier: MIT
/*
 * rtnl_private: how a request to rtnetlink is made and its answer read, for the files of rtnl.
 */
#ifndef ETHERCORD_SYSTEM_RTNL_PRIVATE_H
#define ETHERCORD_SYSTEM_RTNL_PRIVATE_H

#include <libmnl/libmnl.h>

#include "ethercord/rtnl.h"

struct attribute_table {
    const struct nlattr **attributes;
    uint16_t max;
};

// For mnl_attr_parse(), with a struct attribute_table: attributes of kernels newer than our headers are skipped.
int rtnl_tabulate(const struct nlattr *attribute, void *data);
// 0 where there is none of that size.
uint32_t rtnl_get_u32(const struct nlattr *attribute);
// In the socket's buffer, which the answer overwrites.
struct nlmsghdr *rtnl_begin_request(struct rtnl *rtnl, uint16_t type, uint16_t flags);
// Sends a request, gives all messages of the answer to `callback`, and returns its acknowledgement: 0 or negative errno.
int rtnl_transact(struct rtnl *rtnl, const struct nlmsghdr *request, mnl_cb_t callback, void *data) __attribute__((warn_unused_result));

#endif
