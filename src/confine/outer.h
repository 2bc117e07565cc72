// SPDX-License-Identifier: MIT
/*
 * outer: a filter of system calls that somebody else put around us: a service manager, a container. It may end whoever makes a call that it
 * does not expect, and ours to give up privileges are of the kind that such filters leave out.
 */
#ifndef ETHERCORD_CONFINE_OUTER_H
#define ETHERCORD_CONFINE_OUTER_H

#include <stdbool.h>

// Whether we would live on after `attempt`: where there is such a filter, a child tries. The process must have one thread.
bool outer_survives(void (*attempt)(void));

#endif
