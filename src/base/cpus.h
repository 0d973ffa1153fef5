/* cpus.h - how many CPUs this process may use. */
#ifndef TDM_BASE_CPUS_H
#define TDM_BASE_CPUS_H

/* By its affinity and by the quotas of its control groups, rounded up; at least 1. */
unsigned tdm_cpus(void);

/* By quotas alone; UINT_MAX: there are none.  root: what stands before /proc and /sys; "" but in a test. */
unsigned tdm_cpus_by_quota(const char *root);

#endif
