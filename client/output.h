/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h - what people and scripts read from us. Whatever a name, path or reason holds, only
 * printable ASCII reaches the terminal (name_escape).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "coffer/err.h"
#include "table.h"

/*
 * What a text means, and its colour where the stream is a terminal that has colours
 * (terminal_has_colours); anywhere else there is none. Used for states, results and errors only.
 */
enum output_tone { TONE_PLAIN, TONE_GOOD, TONE_NOTICE, TONE_BAD, TONE_HEADING };

/* The text, escaped, in its tone. */
void output_toned(FILE *out, enum output_tone tone, const char *text);
/* Of a state's name, such as "attached" or "expired"; TONE_PLAIN for any other word. */
enum output_tone output_tone_of(const char *state);

/* The whole text, escaped, without cutting it. */
void output_text(FILE *out, const char *text);

/* "label      text": one line of a listing of facts, indented by `indent` columns. "" is "-". */
void output_fact(FILE *out, int indent, const char *label, const char *text);
void output_fact_toned(FILE *out, const char *label, enum output_tone tone, const char *text);

/* "runc/web, docker/db" of a list of texts, escaped, and cut with "..." to fit. */
void output_names(const json_t *names, char *buffer, size_t size);

/* A JSON value on one line. 0 or -ENOMEM. */
int output_json(const json_t *value, struct err *e);

/* "coffer: …" on stderr, one line whatever the arguments hold. */
void output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "coffer: warning: …" and "coffer: note: …" likewise. */
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void output_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
