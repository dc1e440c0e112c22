/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a grant's conditions hold for a container, and the sentence that says so. Each kind of
 * condition has a row in a table; the sentence of a match lists all of them with their strength,
 * that of a refusal all that failed.
 *
 * What is told of a container may be of a hostile image's making, so everything shown is escaped.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/strong_label.h"
#include "policy/image.h"
#include "policy/policy.h"

#define VERDICT_MAX 320 /* a sentence of one condition, with two values of up to SHOWN_MAX */
#define SHOWN_MAX 90

struct shown {
	char text[SHOWN_MAX];
};

struct verdict {
	bool holds;
	enum strength strength; /* if it holds */
	bool with_text; /* text is wanted: for most of what is asked only the answer counts */
	bool by_image;  /* it does not hold, and the image alone says what is wanted */
	char text[VERDICT_MAX];
};

/* Facts may be missing altogether in a half-known container. */
static const char *known(const char *text)
{
	return text ? text : "";
}

static const char *show(const char *text, struct shown *buffer)
{
	return name_escape(text, strlen(text), buffer->text, sizeof(buffer->text));
}

__attribute__((format(printf, 2, 3))) static void say(struct verdict *v, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(v->text, sizeof(v->text), format, args);
	va_end(args);
}

/* One text must equal another. `what`: "its runtime". */
static void compare(const char *what, const char *wanted, const char *is, enum strength strength,
                    struct verdict *v)
{
	struct shown a, b;

	v->strength = strength;
	v->holds = strcmp(wanted, is) == 0;
	if (!v->with_text)
		return;
	if (v->holds)
		say(v, "%s is %s", what, show(is, &a));
	else if (!*is)
		say(v, "%s is unknown, and the grant wants %s", what, show(wanted, &a));
	else
		say(v, "%s is %s, and the grant wants %s", what, show(is, &a), show(wanted, &b));
}

static void check_runtime(const struct grant *g, const struct subject *s, struct verdict *v)
{
	compare("its runtime", g->runtime, known(s->runtime), STRENGTH_WEAK, v);
}

static void check_unit(const struct grant *g, const struct subject *s, struct verdict *v)
{
	compare("its systemd unit", g->unit, known(s->unit), STRENGTH_STRONG, v);
}

static void check_container(const struct grant *g, const struct subject *s, struct verdict *v)
{
	const char *id = known(s->id);

	if (*id && strcmp(g->container, id) == 0)
		compare("its id", g->container, id, STRENGTH_WEAK, v);
	else
		compare("its name", g->container, known(s->name), STRENGTH_WEAK, v);
}

/* Whether `digest`, which has a digest's form, is one of `list`. */
static bool is_among(const char *digest, const char *list)
{
	return strstr(list, digest) != NULL;
}

static void check_image(const struct grant *g, const struct subject *s, struct verdict *v)
{
	const char *digest = image_digest(g->image);
	struct shown a;

	if (digest)
		compare("its image digest", digest,
		        is_among(digest, known(s->digest)) ? digest : known(s->digest),
		        STRENGTH_STRONG, v);
	else if (g->allow_tag)
		compare("its image", g->image, known(s->image), STRENGTH_WEAK, v);
	else
		say(v, "the grant names the image %s by a tag without --allow-tag",
		    show(g->image, &a));
}

static bool is_strong_label(const char *key, const struct subject *s)
{
	return strong_label(key, known(s->runtime));
}

/* What somebody may write who looks for a condition that there is none of. */
static bool is_service_account(const char *key)
{
	return strcasestr(key, "serviceaccount") || strcasestr(key, "service-account") ||
	       strcasestr(key, "service_account");
}

/* What a container says under one key, which a label and an annotation may share. */
struct label_look {
	bool equal;        /* set by its starter to what is wanted */
	const char *other; /* set by its starter to something else */
	bool image_equal;  /* the image says what is wanted */
};

static struct label_look look_up(const struct attribute *wanted, const struct subject *s)
{
	struct label_look look = { 0 };

	for (size_t i = 0; i < s->attributes; i++) {
		const struct attribute *a = &s->attribute[i];
		bool equal;

		if (strcmp(known(a->key), wanted->key) != 0)
			continue;
		equal = strcmp(known(a->value), wanted->value) == 0;
		if (a->from_image)
			look.image_equal = look.image_equal || equal;
		else if (equal)
			look.equal = true;
		else
			look.other = known(a->value);
	}
	return look;
}

static void check_label(const struct attribute *wanted, const struct subject *s, struct verdict *v)
{
	struct label_look look = look_up(wanted, s);
	struct shown key, value, other;

	v->holds = look.equal && !look.other;
	v->by_image = look.image_equal && !look.equal && !look.other;
	v->strength = is_strong_label(wanted->key, s) ? STRENGTH_STRONG : STRENGTH_WEAK;
	if (!v->with_text)
		return;
	show(wanted->key, &key);
	show(wanted->value, &value);
	show(known(look.other), &other);
	if (v->holds)
		say(v, "its label %s is %s", key.text, value.text);
	else if (look.equal)
		say(v, "its label %s is both %s and %s, so neither counts", key.text, value.text,
		    other.text);
	else if (look.other)
		say(v, "its label %s is %s, and the grant wants %s", key.text, other.text,
		    value.text);
	else if (v->by_image)
		say(v,
		    "its label %s=%s came with the image, and what an image says of itself never "
		    "matches; set it where the container is started",
		    key.text, value.text);
	else
		say(v, "it has no label %s (the grant wants %s)%s", key.text, value.text,
		    is_service_account(wanted->key)
		            ? "; no engine is told a pod's service account: use "
		              "io.kubernetes.pod.namespace"
		            : "");
}

/* The sentence under construction, and what the verdicts so far come to. */
struct findings {
	struct err held, failed;
	bool with_text, all_hold;
	bool only_by_image;     /* all that failed did so by_image */
	enum strength strength; /* of the strongest: conditions are ANDed */
};

__attribute__((format(printf, 2, 3))) static void append(struct err *sentence, const char *format,
                                                         ...)
{
	size_t used = strlen(sentence->text);
	va_list args;

	va_start(args, format);
	vsnprintf(sentence->text + used, sizeof(sentence->text) - used, format, args);
	va_end(args);
}

/* Whether there is anything left to find out. */
static bool is_open(const struct findings *f)
{
	return f->all_hold || f->only_by_image || f->with_text;
}

static void note(struct findings *f, const struct verdict *v)
{
	struct err *sentence = v->holds ? &f->held : &f->failed;

	f->all_hold = f->all_hold && v->holds;
	f->only_by_image = f->only_by_image && (v->holds || v->by_image);
	if (v->holds && v->strength > f->strength)
		f->strength = v->strength;
	if (!f->with_text)
		return;
	append(sentence, "%s%s", *sentence->text ? "; " : "", v->text);
	if (v->holds)
		append(sentence, v->strength == STRENGTH_STRONG ? " (strong)" : " (weak)");
}

static const struct {
	size_t condition; /* where in a grant its text is; NULL there: no such condition */
	void (*check)(const struct grant *g, const struct subject *s, struct verdict *v);
} conditions[] = {
	{ offsetof(struct grant, unit), check_unit },
	{ offsetof(struct grant, image), check_image },
	{ offsetof(struct grant, runtime), check_runtime },
	{ offsetof(struct grant, container), check_container },
};

static const char *condition_text(const struct grant *g, size_t offset)
{
	return *(char *const *)(const void *)((const char *)g + offset);
}

static void check_conditions(const struct grant *g, const struct subject *s, struct findings *f)
{
	for (size_t i = 0; i < ARRAY_LEN(conditions) && is_open(f); i++) {
		struct verdict v = { .with_text = f->with_text };

		if (!condition_text(g, conditions[i].condition))
			continue;
		conditions[i].check(g, s, &v);
		note(f, &v);
	}
	for (size_t i = 0; i < g->labels && is_open(f); i++) {
		struct verdict v = { .with_text = f->with_text };

		check_label(&g->label[i], s, &v);
		note(f, &v);
	}
}

static void refuse(struct findings *f, const char *text)
{
	struct verdict v = { 0 };

	say(&v, "%s", text);
	note(f, &v);
}

/* What a container is like, whatever the conditions say. */
static void check_leave(const struct grant *g, const struct subject *s, struct findings *f)
{
	/* Services live in the host's pid namespace by nature; their unit is the kernel's word. */
	if (s->weak && !g->unit && !g->allow_weak)
		refuse(f, "it shares the host's pid namespace, which makes it weak, and the grant "
		          "is without --allow-weak");
	if (s->unverified && !g->allow_unverified)
		refuse(f, "what is known of it lies in a user's hands (rootless), and the grant is "
		          "without --allow-unverified");
}

static void report(const struct findings *f, struct err *why)
{
	why->text[0] = '\0';
	append(why, "%s: %s", f->all_hold ? "matches" : "does not match",
	       f->all_hold ? f->held.text : f->failed.text);
}

static void judge(const struct grant *g, const struct subject *s, struct findings *f)
{
	/* Of a plain process group nothing else is known: other conditions would only add noise. */
	if (s->plain && !g->unit) {
		refuse(f, "it is a plain process group (no engine's state knows it), which only "
		          "a grant with --unit matches");
	} else {
		check_conditions(g, s, f);
		check_leave(g, s, f);
	}
	/* A grant always has a condition; one that came without matches nobody. */
	if (f->all_hold && f->strength == STRENGTH_NONE)
		refuse(f, "the grant has no condition");
}

bool policy_matches(const struct grant *g, const struct subject *s, enum strength *ret_strength,
                    struct err *why)
{
	struct findings f = { .with_text = why != NULL, .all_hold = true };

	judge(g, s, &f);
	if (why)
		report(&f, why);
	if (ret_strength)
		*ret_strength = f.all_hold ? f.strength : STRENGTH_NONE;
	return f.all_hold;
}

bool policy_wants_image_label(const struct grant *g, const struct subject *s)
{
	struct findings f = { .all_hold = true, .only_by_image = true };

	judge(g, s, &f);
	return !f.all_hold && f.only_by_image;
}
