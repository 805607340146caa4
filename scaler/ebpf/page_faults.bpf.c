/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Counts the page faults of programs. Runs in the kernel, at each fault: it adds, and decides nothing.
 *
 * Compiled by `build`, which says how; the object beside it is what the crate ships. It includes nothing and uses
 * neither BTF nor relocations by type, so that one object serves every kernel from 5.7 on.
 */
typedef unsigned int u32;
typedef unsigned long long u64;

#define SECTION(name) __attribute__((section(name), used))

/* From the kernel's interface, include/uapi/linux/bpf.h. */
enum { BPF_MAP_TYPE_PERCPU_ARRAY = 6 };
static void *(*const map_lookup_elem)(const void *map, const void *key) = (void *)1;
static u64 (*const get_current_ancestor_cgroup_id)(int level) = (void *)123;

struct map {
	u32 type, key_size, value_size, max_entries, flags;
};

/* One number a processor, so that none waits for another. */
SECTION("maps")
struct map counts = {
	.type = BPF_MAP_TYPE_PERCPU_ARRAY,
	.key_size = sizeof(u32),
	.value_size = sizeof(u64),
	.max_entries = 1,
};

/* Set before it is loaded: the cgroup whose faults count, with all below it. 0: everybody's. */
const volatile u64 watched_cgroup = 0;

/* Cgroups lie in one another, and a program in the kernel must end. */
enum { MOST_LEVELS = 32 };

static int is_watched(void)
{
	if (watched_cgroup == 0)
		return 1;
#pragma clang loop unroll(disable)
	for (int level = 0; level < MOST_LEVELS; level++) {
		u64 cgroup = get_current_ancestor_cgroup_id(level);
		if (cgroup == watched_cgroup)
			return 1;
		if (cgroup == 0) /* below the one of this task */
			return 0;
	}
	return 0;
}

SECTION("raw_tracepoint/page_fault_user")
int count_page_fault(void *context)
{
	u32 first = 0;
	(void)context;
	if (!is_watched())
		return 0;
	u64 *count = map_lookup_elem(&counts, &first);
	if (count)
		*count += 1;
	return 0;
}

/* The kernel asks. The helpers above are for programs of any licence. */
SECTION("license")
char permitted[] = "MIT";
