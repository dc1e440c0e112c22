/* SPDX-License-Identifier: Apache-2.0 */
#include "runc.h"

int main(int argc, char **argv)
{
	return runc_run(argc, argv);
}
