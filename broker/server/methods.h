/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods.h - the handlers behind the table in methods.c. Each file of handlers owns one subject.
 */
#pragma once

#include "server/server.h"

extern const struct method operator_methods[]; /* methods.c; ended by a row without a name */

/* methods_store.c */
int method_status(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_init(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_unseal(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_seal(struct broker *b, struct call *call, json_t *parameters, struct err *e);
/* methods_secret.c */
int method_put(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_get(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_list(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_info(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_rollback(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_remove(struct broker *b, struct call *call, json_t *parameters, struct err *e);
/* methods_watch.c */
int method_watch(struct broker *b, struct call *call, json_t *parameters, struct err *e);
/* methods_policy.c */
int method_grant(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_revoke(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_grants(struct broker *b, struct call *call, json_t *parameters, struct err *e);
/* methods_grants.c */
int method_apply_grants(struct broker *b, struct call *call, json_t *parameters, struct err *e);
/* methods_audit.c */
int method_audit(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_audit_files(struct broker *b, struct call *call, json_t *parameters, struct err *e);
/* flow/methods_container.c */
int method_attach(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_detach(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_attachments(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_explain(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_register(struct broker *b, struct call *call, json_t *parameters, struct err *e);
int method_unregister(struct broker *b, struct call *call, json_t *parameters, struct err *e);
