/* SPDX-License-Identifier: Apache-2.0 */
#include "nearest.h"

#include <string.h>

#define SHORT_WORD 5
#define BEGUN_MIN 2 /* letters: one alone begins too much */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * The number of slips between two words by dynamic programming, where two neighbours that changed
 * places are one slip ("optimal string alignment").
 */
static unsigned slips_between(const char *a, size_t alen, const char *b, size_t blen)
{
	unsigned cost[NEAREST_WORD_MAX + 1][NEAREST_WORD_MAX + 1];

	for (size_t i = 0; i <= alen; i++)
		cost[i][0] = (unsigned)i;
	for (size_t j = 0; j <= blen; j++)
		cost[0][j] = (unsigned)j;
	for (size_t i = 1; i <= alen; i++)
		for (size_t j = 1; j <= blen; j++) {
			unsigned wrong = a[i - 1] != b[j - 1];
			unsigned c = least(least(cost[i - 1][j], cost[i][j - 1]) + 1,
			                   cost[i - 1][j - 1] + wrong);

			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				c = least(c, cost[i - 2][j - 2] + 1);
			cost[i][j] = c;
		}
	return cost[alen][blen];
}

void nearest_look(struct nearest *n, const char *known)
{
	size_t len = strlen(known), shorter = len < n->len ? len : n->len;
	unsigned slips = 0;

	if (len > NEAREST_WORD_MAX || n->len > NEAREST_WORD_MAX)
		return;
	if (n->len >= BEGUN_MIN && len > n->len && memcmp(known, n->typed, n->len) == 0)
		slips = 1;
	else
		slips = slips_between(n->typed, n->len, known, len);
	if (slips > (shorter <= SHORT_WORD ? 1u : 2u))
		return;
	if (n->found && n->slips <= slips)
		return;
	n->found = known;
	n->slips = slips;
}
