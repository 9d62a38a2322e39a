// SPDX-License-Identifier: GPL-2.0-only
/* res_shmpart: attaches one System V segment whole, then cut, then with two protections. */
#include <sys/mman.h>
#include <sys/shm.h>

#include "ck.h"

#define SIZE (4 * 4096)

int main(void)
{
	int id = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);
	char *whole = shmat(id, NULL, 0), *cut = shmat(id, NULL, 0), *two = shmat(id, NULL, 0);

	if (whole == (void *)-1 || cut == (void *)-1 || two == (void *)-1)
		return 1;
	if (munmap(cut + SIZE - 4096, 4096) || mprotect(two, 4096, PROT_READ))
		return 1;
	ck_ready();
	for (;;)
		pause();
}
