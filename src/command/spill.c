/* spill.c - an output that is too large for memory. */
#define _XOPEN_SOURCE 700
#include "command/spill.h"

#include "base/fault.h"
#include "base/fds.h"
#include "base/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* In front of the bytes, a whole page: how large the mapping is, for who frees it knows only where the bytes begin. */
static size_t front(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static const char *folder(void)
{
    const char *given = getenv("TMPDIR");
    return given && given[0] == '/' ? given : "/tmp";
}

/* Where every file has a name at first. */
static int open_and_unlink(const char *where)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s/tandem-XXXXXX", where) >= (int)sizeof name) return -ENAMETOOLONG;
    int fd = mkstemp(name);
    if (fd < 0) return -errno;
    unlink(name);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

int tdm_spill_open(void)
{
    int fault = tdm_fault(TDM_FAULT_spill);
    if (fault != 0) return -fault;
    int fd = tdm_platform_unnamed_file(folder());
    if (fd < 0) fd = open_and_unlink(folder());
    return fd < 0 ? fd : tdm_fds_take_in(fd);
}

int tdm_spill_write(int fd, uint64_t size, const void *bytes, size_t more)
{
    for (size_t done = 0; done < more;) {
        ssize_t now = pwrite(fd, (const char *)bytes + done, more - done, (off_t)(front() + size + done));
        if (now < 0 && errno == EINTR) continue;
        if (now <= 0) return now < 0 ? -errno : -EIO;
        done += (size_t)now;
    }
    return 0;
}

/* One byte more than there is of the file's own, so that the last byte is 0 wherever the page ends. */
void *tdm_spill_map(int fd, uint64_t size)
{
    uint64_t whole = front() + size + 1;
    if (whole > SIZE_MAX || ftruncate(fd, (off_t)whole) != 0) return NULL;
    size_t length = (size_t)whole;
    if (pwrite(fd, &length, sizeof length, 0) != (ssize_t)sizeof length) return NULL;
    char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    return memory == MAP_FAILED ? NULL : memory + front();
}

void tdm_spill_release(void *bytes)
{
    char *memory = (char *)bytes - front();
    size_t length;
    memcpy(&length, memory, sizeof length);
    munmap(memory, length);
}
