/* program.h - an external program as described to the zygote: one block of memory behind a descriptor, mapped by host, zygote and the new
 * process, with all strings that exec needs, and a word that says how far it has come.
 *
 * The word decides what becomes of a program whose zygote has died over it.  Whoever moves it from WAITS decides: the new process, which is
 * then about to exec; or the host, in which case the program never ran, and may be started elsewhere. */
#ifndef TDM_JOB_PROGRAM_H
#define TDM_JOB_PROGRAM_H

#include "base/atomics.h"
#include "job/setup.h"

#include <tandem.h>

enum tdm_program_state {
    TDM_PROGRAM_WAITS = 0, /* to REVOKED by the host, to BEGUN or FAILED by the new process */
    TDM_PROGRAM_BEGUN,     /* pid is set; to FAILED if exec returns */
    TDM_PROGRAM_FAILED,    /* error and step are set; it has done nothing */
    TDM_PROGRAM_REVOKED
};

/* What failed, before it could become the program. */
enum tdm_program_step {
    TDM_STEP_FORK = 0,
    TDM_STEP_MEMORY,
    TDM_STEP_DESCRIPTORS,
    TDM_STEP_CHDIR,
    TDM_STEP_CREDENTIALS,
    TDM_STEP_EXEC,
    TDM_STEPS
};

/* What goes with the block, in this order; IN, OUT, ERR: none leads nowhere. */
enum tdm_program_fd {
    TDM_PROGRAM_BLOCK,
    TDM_PROGRAM_IN,
    TDM_PROGRAM_OUT,
    TDM_PROGRAM_ERR, /* none with ERR_TO_OUT */
    TDM_PROGRAM_CWD, /* the host's working directory */
    TDM_PROGRAM_FDS
};

/* Places are counted in bytes from the block's beginning; 0: there is none.  The arrays hold places, which the zygote makes into
 * pointers. */
struct tdm_program {
    _Atomic uint32_t state; /* host and new process [program-state] */
    int32_t pid;            /* of the new process; written by it before state */
    int32_t error;          /* a positive errno; written before state */
    uint32_t step;          /* the same; a tdm_program_step */
    uint32_t detached, err_to_out, has_uid, has_gid;
    uint32_t uid, gid;
    uint64_t arguments; /* array: one spare place, then argv, then 0 */
    uint64_t variables; /* array: the environment, then 0 */
    uint64_t argument_count, variable_count;
    uint64_t file;      /* as it was given */
    uint64_t path;      /* of folders, for a file without a slash; 0: none is to be looked through */
    uint64_t candidate; /* room for one of them, a slash and the file */
    uint64_t cwd;
    uint64_t memory, cpu_ms, file_size, open_files; /* limits; 0: none */
    struct tdm_surroundings around;
};

/* What the host knows; nothing of it is needed afterwards. */
struct tdm_program_plan {
    const tandem_command *command;
    const char *environment; /* the caller's, entries ended by 0 bytes; for a command that brings none */
    size_t environment_size;
    const tandem_limits *limits;
};

/* The block as the host has it: mapped, and its descriptor, which is remembered. */
struct tdm_program_block {
    struct tdm_program *program; /* NULL: none */
    size_t size;
    int fd;
};
#define TDM_NO_BLOCK ((struct tdm_program_block){.fd = -1})

/* Host: fills the block; makes it if there is none, or it is too small.  0 or -errno. */
int tdm_program_make(const struct tdm_program_plan *plan, struct tdm_program_block *block);
void tdm_program_drop(struct tdm_program_block *block); /* also none */

#endif
