/* elf_names.h - the functions that an ELF file names, by their place in the file.
 *
 * Nothing in the file is trusted: it may be damaged, be cut while it is read, or be no ELF file at all.  It is read, not mapped, because a
 * mapping of a file that somebody cuts is a SIGBUS. */
#ifndef TDM_BASE_ELF_NAMES_H
#define TDM_BASE_ELF_NAMES_H

#include <stdint.h>

struct tdm_elf_names;

/* What the file tells, or NULL.  Nothing is kept open.  Call it where the thread cannot be cancelled. */
struct tdm_elf_names *tdm_elf_names_read(const char *path);
void tdm_elf_names_free(struct tdm_elf_names *names); /* NULL is fine */

/* The function whose code lies at this offset of the file, and how far from its start that is; NULL: not known.  The name is the names'. */
const char *tdm_elf_names_find(const struct tdm_elf_names *names, uint64_t offset, uint64_t *distance);

#endif
