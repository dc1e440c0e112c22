/* SPDX-License-Identifier: Apache-2.0 */
/* A half message does not stay for ever, however slowly its bytes drip in. Takes SERVER_PATIENCE_S.
 */
#include "support.h"
#include "support_fakes.h"

START_TEST(a_client_that_drips_a_message_is_closed)
{
	struct host *host = host_new();
	int dripping, idle;
	int dripped = 0;

	host_start(host);
	dripping = client_connect(host);
	idle = client_connect(host);
	/* A byte a second, so that only the age of the message can end it. */
	for (; dripped < 3 * SERVER_PATIENCE_S; dripped++) {
		struct pollfd p = { .fd = dripping, .events = POLLIN };

		if (send(dripping, "{", 1, MSG_NOSIGNAL) < 0 || poll(&p, 1, 1000) == 1)
			break;
	}
	ck_assert_int_lt(dripped, 3 * SERVER_PATIENCE_S);
	/* Who says nothing at all may stay. */
	json_decref(client_ok(idle, "Status", NULL));
	close(dripping);
	close(idle);
	host_free(host);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("patience");
	TCase *t = tcase_create("patience");

	tcase_set_timeout(t, 110);
	tcase_add_test(t, a_client_that_drips_a_message_is_closed);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
