/* cpus_test.c - how many CPUs count, by trees of control groups as systems have them. */
#include "harness.h"

#include "base/cpus.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- trees ---- */

struct file {
    const char *path, *text; /* path NULL: no more */
};

static void write_file(const char *root, const struct file *file)
{
    char path[400];
    assert_true(snprintf(path, sizeof path, "%s%s", root, file->path) < (int)sizeof path);
    for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_true(fputs(file->text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

static void remove_file(const char *root, const struct file *file)
{
    char path[400];
    snprintf(path, sizeof path, "%s%s", root, file->path);
    unlink(path);
    for (char *slash; strlen(path) > strlen(root) && (slash = strrchr(path, '/')) != NULL;) {
        *slash = 0;
        rmdir(path);
    }
}

/* The files are there while they are looked at. */
static unsigned cpus_in(const struct file *files)
{
    char root[300];
    snprintf(root, sizeof root, "%s/cpus-XXXXXX", getenv("TMPDIR"));
    assert_non_null(mkdtemp(root));
    for (const struct file *file = files; file->path; file++) write_file(root, file);
    unsigned cpus = tdm_cpus_by_quota(root);
    for (const struct file *file = files; file->path; file++) remove_file(root, file);
    rmdir(root);
    assert_int_equal(access(root, F_OK), -1);
    return cpus;
}

#define MINE "/proc/self/cgroup"
#define V2   "/sys/fs/cgroup"
#define V1   "/sys/fs/cgroup/cpu"

/* ---- version 2 ---- */

static unsigned with_cpu_max(const char *text)
{
    return cpus_in((struct file[]){{MINE, "0::/app.slice/a.service\n"}, {V2 "/app.slice/a.service/cpu.max", text}, {0}});
}

static void a_quota_is_rounded_up_and_at_least_one_cpu(void)
{
    assert_int_equal(with_cpu_max("200000 100000\n"), 2);
    assert_int_equal(with_cpu_max("200001 100000\n"), 3);
    assert_int_equal(with_cpu_max("150000 100000\n"), 2);
    assert_int_equal(with_cpu_max("10000 100000\n"), 1);
    assert_int_equal(with_cpu_max("0 100000\n"), 1);
    assert_int_equal(with_cpu_max("25000 50000"), 1);
    assert_int_equal(with_cpu_max("6400000 100000\n"), 64);
}

static void no_quota_and_nonsense_are_no_limit(void)
{
    static const char *const texts[] = {"max 100000\n", "max\n", "", "\n", "100000\n", "100000 0\n", "many 100000\n"};
    for (size_t i = 0; i < count_of(texts); i++) assert_int_equal(with_cpu_max(texts[i]), UINT_MAX);
    assert_int_equal(cpus_in((struct file[]){{0}}), UINT_MAX);
    assert_int_equal(cpus_in((struct file[]){{MINE, "0::/\n"}, {0}}), UINT_MAX);
    assert_int_equal(cpus_in((struct file[]){{MINE, "nonsense\n:\n::\n\n"}, {V2 "/cpu.max", "max 100000\n"}, {0}}), UINT_MAX);
}

static void the_least_of_all_groups_on_the_way_up_counts(void)
{
    struct file files[] = {{MINE, "0::/a/b/c\n"},
                           {V2 "/a/b/c/cpu.max", "800000 100000\n"},
                           {V2 "/a/b/cpu.max", "max 100000\n"},
                           {V2 "/a/cpu.max", "300000 100000\n"},
                           {0}};
    assert_int_equal(cpus_in(files), 3);
}

static void a_path_that_is_not_to_be_seen_in_a_container_does_no_harm(void)
{
    struct file files[] = {{MINE, "0::/../../system.slice/docker-4711.scope\n"}, {V2 "/cpu.max", "400000 100000\n"}, {0}};
    assert_int_equal(cpus_in(files), 4);
}

/* ---- version 1 ---- */

static void version_1_has_a_file_for_quota_and_period_each(void)
{
    struct file files[] = {{MINE, "5:cpuset:/\n4:cpu,cpuacct:/docker/4711\n3:memory:/x\n"},
                           {V1 "/docker/4711/cpu.cfs_quota_us", "250000\n"},
                           {V1 "/docker/4711/cpu.cfs_period_us", "100000\n"},
                           {V1 "/cpu.cfs_quota_us", "-1\n"},
                           {V1 "/cpu.cfs_period_us", "100000\n"},
                           {0}};
    assert_int_equal(cpus_in(files), 3);
    files[1].text = "-1\n";
    assert_int_equal(cpus_in(files), UINT_MAX);
    files[3].text = "50000\n";
    assert_int_equal(cpus_in(files), 1);
}

/* "cpu" is neither a part of "cpuset" nor of "cpuacct". */
static void only_the_controller_of_that_name_counts(void)
{
    struct file files[] = {{MINE, "5:cpuset:/a\n4:cpuacct,net:/a\n"},
                           {V1 "/a/cpu.cfs_quota_us", "100000\n"},
                           {V1 "/a/cpu.cfs_period_us", "100000\n"},
                           {0}};
    assert_int_equal(cpus_in(files), UINT_MAX);
    files[0].text = "4:cpuacct,cpu:/a\n";
    assert_int_equal(cpus_in(files), 1);
    files[0].text = "4:cpu:/a";
    assert_int_equal(cpus_in(files), 1);
}

static void both_versions_may_be_there_side_by_side(void)
{
    struct file files[] = {{MINE, "4:cpu,cpuacct:/a\n0::/b\n"},
                           {V1 "/a/cpu.cfs_quota_us", "700000\n"},
                           {V1 "/a/cpu.cfs_period_us", "100000\n"},
                           {V2 "/b/cpu.max", "600000 100000\n"},
                           {0}};
    assert_int_equal(cpus_in(files), 6);
    files[3].text = "900000 100000\n";
    assert_int_equal(cpus_in(files), 7);
}

/* ---- all together ---- */

static void this_process_has_at_least_one_and_no_more_than_it_may_run_on(void)
{
    assert_in_range(tdm_cpus(), 1, (unsigned long)sysconf(_SC_NPROCESSORS_CONF));
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_quota_is_rounded_up_and_at_least_one_cpu),     test(no_quota_and_nonsense_are_no_limit),
        test(the_least_of_all_groups_on_the_way_up_counts),   test(a_path_that_is_not_to_be_seen_in_a_container_does_no_harm),
        test(version_1_has_a_file_for_quota_and_period_each), test(only_the_controller_of_that_name_counts),
        test(both_versions_may_be_there_side_by_side),        test(this_process_has_at_least_one_and_no_more_than_it_may_run_on),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
