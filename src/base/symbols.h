/* symbols.h - what code is called: the name of the function at an address, static ones too, from the program's own files.
 *
 * For reports, not for hot paths: files are read, under one lock.  Where no name can be found (no /proc, no ELF, a deleted or damaged file,
 * code made at run time) there are only numbers.  A worker's addresses are its host's, for everything that was loaded when the zygote was
 * forked. */
#ifndef TDM_BASE_SYMBOLS_H
#define TDM_BASE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "function+0x1f (module)", "0x7f12 (module)" or "0x7f12"; cut to size, and ended by a 0 if there is room for one.  The length that it has
 * uncut.  A return address may be that of the next function: the caller is meant. */
size_t tdm_symbols_describe(uintptr_t address, bool is_return_address, char *text, size_t size);

/* The name of the function that holds this address, cut to size; false, and an empty text, if it is not known. */
bool tdm_symbols_function(uintptr_t address, char *text, size_t size);

/* Around many: what has been read stays in memory in between, so that each file is read once.  Batches may overlap. */
void tdm_symbols_begin(void);
void tdm_symbols_end(void);

/* In a forked child: forgets all, without touching what the parent's threads may have been changing. */
void tdm_symbols_reset(void);

#endif
