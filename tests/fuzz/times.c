/* SPDX-License-Identifier: Apache-2.0 */
/* times_parse and times_parse_duration: what is taken means the same when it is written again. */
#include "coffer/times.h"

#include "fuzz.h"

#define YEARS_10_S (3650LL * 86400)

static void point(const char *text)
{
	char written[TIMES_TEXT_MAX];
	int64_t ns = 7, again = 0;
	struct err e = { 0 };
	int r = times_parse(text, &ns, &e);

	if (r < 0) {
		MUST(ns == 7);
		fuzz_refused(r, &e);
		return;
	}
	times_format(ns, written);
	/* Up to the seconds the text has one spelling. */
	MUST(strlen(written) == 27 && fuzz_printable(written) && strncmp(written, text, 19) == 0);
	MUST(times_parse(written, &again, &e) == 0);
	MUST(again <= ns && ns - again < 1000);
}

static void duration(const char *text)
{
	int64_t ns = 7;
	struct err e = { 0 };
	int r = times_parse_duration(text, &ns, &e);
	long long count = 0, unit;
	char letter = 0, more = 0;

	if (r < 0) {
		MUST(ns == 7);
		fuzz_refused(r, &e);
		return;
	}
	MUST(sscanf(text, "%lld%c%c", &count, &letter, &more) == 2);
	unit = letter == 's'   ? 1
	       : letter == 'm' ? 60
	       : letter == 'h' ? 3600
	       : letter == 'd' ? 86400
	       : letter == 'w' ? 604800
	                       : 0;
	MUST(unit > 0 && ns == count * unit * NS_PER_S);
	MUST(ns >= NS_PER_S && ns <= YEARS_10_S * NS_PER_S);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), written[TIMES_TEXT_MAX];
	int64_t any = 0;

	point(text);
	duration(text);
	memcpy(&any, data ? data : (const uint8_t *)"", size < sizeof(any) ? size : sizeof(any));
	MUST(strlen(times_format(any, written)) == 27);
	free(text);
	return 0;
}
