// SPDX-License-Identifier: MIT
/*
 * doctor_subject: what the doctor looks at: a running instance, as its status says, or one that is to be started, as its file says.
 */
#ifndef ETHERCORD_CLI_DOCTOR_SUBJECT_H
#define ETHERCORD_CLI_DOCTOR_SUBJECT_H

#include "doctor.h"

// From a status document, which it takes.
void subject_from_status_take(struct doctor_subject *subject, json_t *status);
// From a configuration; names are looked up, which may take seconds.
void subject_from_config(struct doctor_subject *subject, const struct config *config);
void subject_deinit(struct doctor_subject *subject);

#endif
