/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "doctor.h"
#include "fields.h"
#include "hook.h"
#include "output.h"
#include "progress.h"

#define INDENT 8 /* where sentences begin, behind the longest severity */

static void print_line(const char *label, const char *text)
{
	printf("%*s%s: ", INDENT, "", label);
	output_text(stdout, text);
	putchar('\n');
}

/* The worst first; in the order of the checks among equals. */
static void print_findings(const struct doctor *d)
{
	static const char *const order[] = { "error", "warning", "note" };
	json_t *finding = NULL;
	size_t i = 0;

	for (size_t rank = 0; rank < ARRAY_LEN(order); rank++) {
		json_array_foreach (d->findings, i, finding) {
			if (strcmp(field_text(finding, "severity"), order[rank]) != 0)
				continue;
			printf("%-*s", INDENT, order[rank]);
			output_text(stdout, field_text(finding, "check"));
			fputs(": ", stdout);
			output_text(stdout, field_text(finding, "what"));
			putchar('\n');
			print_line("why", field_text(finding, "why"));
			print_line("do", field_text(finding, "do"));
		}
	}
}

static int print_json(const struct doctor *d, size_t checks, struct err *e)
{
	SCOPED(json_ptr)
	json_t *answer = json_pack("{s:O, s:I, s:I, s:I, s:I}", "findings", d->findings, "checks",
	                           (json_int_t)checks, "errors", (json_int_t)d->count[DOCTOR_ERROR],
	                           "warnings", (json_int_t)d->count[DOCTOR_WARNING], "notes",
	                           (json_int_t)d->count[DOCTOR_NOTE]);

	return answer ? output_json(answer, e) : err_errno(e, -ENOMEM, "cannot answer");
}

static int list_checks(const struct client *c, struct err *e)
{
	static const char *const headings[] = { "CHECK", "WHAT", NULL };
	SCOPED(table_free_ptr) struct table *table = table_new(headings);
	int r = table ? 0 : -ENOMEM;

	for (const struct doctor_check *check = doctor_checks; r == 0 && check->id; check++)
		r = table_add(table, (const char *const[]){ check->id, check->title });
	if (r < 0)
		return err_errno(e, r, "cannot list");
	table_print(table, stdout, c->tty);
	return 0;
}

static int check_only(const char *only, struct err *e)
{
	for (const struct doctor_check *check = doctor_checks; only && check->id; check++)
		if (strcmp(check->id, only) == 0)
			return 0;
	return only ? err_set(e, CLIENT_USAGE,
	                      "there is no such check; coffer doctor --list names them")
	            : 0;
}

static size_t checks_run(const char *only)
{
	size_t n = 0;

	while (doctor_checks[n].id)
		n++;
	return only ? 1 : n;
}

int verb_doctor(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(progress_end) struct progress p = { .fd = -1 };
	const char *only = o->words ? o->word[0] : NULL;
	const char *root = options_text(o, "root", 0), *wait = options_text(o, "must-wait", 0);
	SCOPED(doctor_clear)
	struct doctor d = { .client = c,
		            .root = root ? root : "",
		            .must_wait = wait ? wait : HOOK_MUST_WAIT,
		            .findings = json_array() };
	size_t bad;
	int r = check_only(only, e);

	if (r < 0)
		return r;
	if (options_has(o, "list"))
		return list_checks(c, e);
	progress_begin(&p, c, "looking at this host", PROGRESS_WAIT, 0);
	doctor_ask_broker(&d);
	progress_tick(&p);
	doctor_find_containers(&d);
	progress_tick(&p);
	doctor_run(&d, only);
	progress_end(&p);
	if (c->json)
		r = print_json(&d, checks_run(only), e);
	else
		print_findings(&d);
	if (r < 0)
		return r;
	bad = d.count[DOCTOR_ERROR];
	if (options_has(o, "strict"))
		bad += d.count[DOCTOR_WARNING];
	if (bad)
		return err_set(e, -EBADE, "%zu errors, %zu warnings, %zu notes",
		               d.count[DOCTOR_ERROR], d.count[DOCTOR_WARNING],
		               d.count[DOCTOR_NOTE]);
	if (!c->json)
		printf("ok: %zu checks, %zu warnings, %zu notes\n", checks_run(only),
		       d.count[DOCTOR_WARNING], d.count[DOCTOR_NOTE]);
	return 0;
}
